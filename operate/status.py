"""`vllm-to-sglang status [--json] [--run-dir DIR]`: how the server is, on one screen or as one JSON document.
`__main__` calls `run`; it works with the middleware, the engine or all of it dead or hung.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from operate import control, inside, run_dir, screen

READY, NOT_READY, WRONG = 0, 1, 2
# More than the middleware waits for supervisord and for SGLang.
SECONDS = 6.0
DESCRIPTION = """\
Says what runs since when, what the command line became, how the engine is, which requests were changed, refused or
failed, and which programs died. Exit code 0: requests are served; 1: they are not, or something is wrong; 2: wrong
use."""


def add_parser(subcommands: argparse._SubParsersAction[Any]) -> None:
    parser = subcommands.add_parser("status", help="how the server is, on one screen", description=DESCRIPTION)
    parser.add_argument("--json", action="store_true", help="one JSON document, as GET /status on the control socket")
    add_run_dir(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def add_run_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run-dir", metavar="DIR", help="of which server; without it the one that runs here")


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    if words:
        options.usage_error("nothing is expected after --")
    try:
        document = learn(run_dir.find(options.run_dir, os.environ))
    except run_dir.NotFound as error:
        print(f"vllm-to-sglang: error: {error}", file=sys.stderr)
        return WRONG
    print(json.dumps(document, indent=2, ensure_ascii=False) if options.json else screen.text(document), end="")
    if options.json:
        print()
    return READY if document["ready"] else NOT_READY


def learn(folder: Path, seconds: float = SECONDS) -> dict[str, Any]:
    if run_dir.trouble(folder):
        return inside.document(folder, None)
    try:
        return control.ask(folder, "GET", "/status", seconds)
    except control.Silent as silence:
        return inside.document(folder, None, str(silence))
