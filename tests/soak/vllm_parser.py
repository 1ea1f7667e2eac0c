"""Run in the catalog's throw-away environment: vLLM's real `vllm serve` parser reads argument lists, one JSON list a
line, and says what it understood: an object of destinations that differ from their defaults, or `error`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import logging
import sys
from types import ModuleType
from typing import Any


def main(question: str) -> None:
    asked = json.loads(question)
    inside = ModuleType("inside")
    inside.__path__ = [asked["inside"]]
    sys.modules["inside"] = inside
    importlib.import_module("inside.stubs").install(asked["stubs"])
    sys.path.insert(0, asked["path"])
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(sys.stderr):
        top = importlib.import_module("vllm.utils.argparse_utils").FlexibleArgumentParser()
        serve = top.add_subparsers(dest="subparser").add_parser("serve")
        importlib.import_module("vllm.entrypoints.common.cli_args").make_arg_parser(serve)
    print(json.dumps({spelling: a.dest for a in serve._actions for spelling in a.option_strings}), flush=True)
    for line in sys.stdin:
        print(json.dumps(understood(top, serve, json.loads(line)), default=lambda _: "(an object)"), flush=True)


def understood(top: Any, serve: argparse.ArgumentParser, words: list[str]) -> dict[str, Any]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            parsed = vars(top.parse_args(["serve", *words]))
    except SystemExit:
        return {"error": said.getvalue().strip().splitlines()[-1]}
    except Exception as error:
        return {"error": repr(error)}
    return {dest: value for dest, value in parsed.items() if repr(value) != repr(serve.get_default(dest))}


if __name__ == "__main__":
    main(sys.argv[1])
