"""Builds vLLM's or SGLang's own argument parser and writes its records to a file.
`asking` starts it in an interpreter that has (or can be given) the project.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .records import Record, records
from .stubs import install


def main(question: str) -> None:
    """`question`: JSON with `project`, `out`, and perhaps `path` (a folder to import it from), `stubs`, `packages`."""
    asked = json.loads(question)
    project, path = asked["project"], asked.get("path", "")
    install(asked.get("stubs", ()))
    if path:
        sys.path.insert(0, path)
    answer: dict[str, Any] = {"project": project, "flags": PARSERS[project](path)}
    if project == "sglang":
        answer["version"] = sglang_version()
    answer["importable"] = {name: importlib.util.find_spec(name) is not None for name in asked.get("packages", ())}
    Path(asked["out"]).write_text(json.dumps(answer), encoding="utf-8")


def vllm(path: str) -> list[Record]:
    package, utils = "vllm.entrypoints.common", "vllm.utils.argparse_utils"
    if not Path(path, *package.split("."), "cli_args.py").exists():
        package, utils = "vllm.entrypoints.openai", "vllm.utils"  # 0.8.5 to 0.11.0
    parser = importlib.import_module(utils).FlexibleArgumentParser()
    return records(importlib.import_module(f"{package}.cli_args").make_arg_parser(parser), with_defaults=True)


def sglang(_path: str) -> list[Record]:
    parser = argparse.ArgumentParser()
    importlib.import_module("sglang.srt.server_args").ServerArgs.add_cli_args(parser)
    return records(parser, with_defaults=False)


PARSERS: dict[str, Callable[[str], list[Record]]] = {"vllm": vllm, "sglang": sglang}


def sglang_version() -> str:
    try:
        return importlib.metadata.version("sglang")
    except importlib.metadata.PackageNotFoundError:  # a source tree on PYTHONPATH
        return str(importlib.import_module("sglang").__version__)
