"""Every way a start can end before anything runs. The message is the whole interface: what was given,
what is accepted, what to do; `exit_code` is what the container ends with.

ShimError
  + CommandLineError    the command line or a setting cannot be understood         exit 2
  + Refused             understood, and not honoured: every such flag at once      exit 2
  + StartError          this machine lacks something: a port, a program, a model   exit 1
"""

from __future__ import annotations

from collections.abc import Sequence


class ShimError(Exception):
    exit_code = 1


class CommandLineError(ShimError):
    exit_code = 2


class Refused(ShimError):
    """What the engine cannot do and must not pretend to do: `refusals` holds (flag, reason) pairs."""

    exit_code = 2

    def __init__(self, refusals: Sequence[tuple[str, str]]) -> None:
        self.refusals = tuple(refusals)
        count = len(self.refusals)
        head = "" if count == 1 else f"{count} arguments cannot be honoured: "
        super().__init__(head + "; ".join(f"{name}: {reason}" for name, reason in self.refusals))


class StartError(ShimError):
    exit_code = 1
