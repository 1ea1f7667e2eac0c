"""`vllm-to-sglang SUBCOMMAND`: one parser for the operator's subcommands, each in a module of its own.
The console script calls `main`; `python -m operate` does the same.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from operate import check
from shims import VERSION


def main(argv: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    # argparse would take flags behind `--` for its own where it meets them first.
    split = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(prog="vllm-to-sglang", description="Operate SGLang in the place of vLLM.")
    parser.add_argument("--version", action="version", version=f"vllm-to-sglang {VERSION}")
    subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
    check.add_parser(subcommands)
    options = parser.parse_args(given[:split])
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # JSON and YAML can name half a character
    try:
        code: int = options.run(options, given[split + 1 :])
        sys.stdout.flush()
    except BrokenPipeError:
        # `... | head` has read enough; the interpreter would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
