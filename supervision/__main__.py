"""`python -I -m supervision -c supervisord.conf`: supervisord, in this process, with the hooks of this package.
`shims` calls it with execve, so that the process which the container runtime started is this one.
"""

import sys

from supervision.signals import hold_signals


def main() -> int:
    # Before the import, which takes a third of a second: PID 1 has no default actions, and the kernel
    # throws a SIGTERM away that comes before there is a handler. A held one waits.
    hold_signals()
    from supervision.container import run  # noqa: PLC0415

    return run()


if __name__ == "__main__":
    sys.exit(main())
