"""`vllm-to-sglang SUBCOMMAND`: one parser for the operator's subcommands, each in a module of its own.
The console script calls `main`; `python -m operate` does the same. `serve` and `supervisorctl` hand their words on.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from operate import act, check, prewarm, reload, status, supervisorctl
from shims import VERSION, console

# Both have a grammar of their own. A wheel has no other name for them that another package cannot have as well.
HANDED_ON: Mapping[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "serve": (lambda words: console.serve(["serve", *words]), "`vllm serve`, whoever has the name `vllm`"),
    "supervisorctl": (supervisorctl.main, "supervisorctl, from anywhere and without options"),
}


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in HANDED_ON:
        return HANDED_ON[given[0]][0](given[1:])
    # argparse would take flags behind `--` for its own where it meets them first.
    split = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(prog="vllm-to-sglang", description="Operate SGLang in the place of vLLM.")
    parser.add_argument("--version", action="version", version=f"vllm-to-sglang {VERSION}")
    subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
    check.add_parser(subcommands)
    status.add_parser(subcommands)
    act.add_parser(subcommands)
    reload.add_parser(subcommands)
    prewarm.add_parser(subcommands)
    for name, (_, what) in HANDED_ON.items():
        subcommands.add_parser(name, help=what)
    options = parser.parse_args(given[:split])
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # JSON and YAML can name half a character
    try:
        code: int = options.run(options, given[split + 1 :])
        if sys.stdout is not None:  # as it is after `>&-`
            sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # `... | head` has read enough
            print(f"vllm-to-sglang: error: {error.strerror or error}", file=sys.stderr)
        if sys.stdout is not None:  # the interpreter would complain again when it flushes at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
