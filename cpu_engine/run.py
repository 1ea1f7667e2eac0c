#!/usr/bin/env python3
"""Serves the embedded model, or another folder's, on the CPU engine in the foreground, and says when it is ready.
`make run` calls it: it starts `vllm serve` as anybody would, watches it, and ends when it ends.
"""

from __future__ import annotations

import argparse
import os
import shlex
import socket
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

# This file is run by its path, and its siblings are imported as a package.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cpu_engine.foreground import Foreground, Served
from cpu_engine.places import Places

EMBEDDED_NAME = "smollm2-135m"


class RunError(Exception):
    """Why nothing was started, and what to do, in one sentence."""


def port_number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port: give a number from 1 to 65535")
    return int(text)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=port_number, default=8000)
    parser.add_argument("--model", type=Path, metavar="DIR", help="a model's folder (default: the embedded model)")
    parser.add_argument("--models", type=Path, action="append", metavar="FILE", help="several models, in place of one")
    parser.add_argument("--command", type=shlex.split, help="in place of this environment's `vllm`")
    parser.add_argument("arguments", nargs="*", help="after `--`: more arguments of `vllm serve`")
    return parser.parse_args(argv)


def served_name(options: argparse.Namespace, model: Path) -> str:
    for word, following in pairwise([*options.arguments, ""]):
        flag, _, value = word.partition("=")
        if flag == "--served-model-name":
            return str(value or following)
    return model.name if options.model else EMBEDDED_NAME


def plan(options: argparse.Namespace, places: Places) -> Served:
    venv = Path(os.environ.get("VLLM_SHIM_ENGINE_VENV") or places.venv)
    if not (venv / "bin" / "python").exists():
        raise RunError(f"there is no engine in {venv}: run `make engine`")
    if options.models:
        return several(options, places)
    model = (options.model or places.model).absolute()
    if not model.is_dir():
        raise RunError(f"there is no model in {model}" + ("" if options.model else ": run `make engine`"))
    name = served_name(options, model)
    return served(options, places, name, [str(model), "--served-model-name", name])


def several(options: argparse.Namespace, places: Places) -> Served:
    """Nothing is asked of them: the first question would start one of them for nobody."""
    if missing := next((file for file in options.models if not file.is_file()), None):
        raise RunError(f"there is no file {missing}: MODELS= names models files")
    return served(options, places, "", ["--shim-models", *(str(file.absolute()) for file in options.models)])


def served(options: argparse.Namespace, places: Places, name: str, words: Sequence[str]) -> Served:
    command = options.command or [str(Path(sys.executable).parent / "vllm")]
    if not Path(command[0]).exists():
        raise RunError(f"there is no {command[0]}: run `make install`")
    with socket.socket() as probe:
        # Another server's /health would pass for ours.
        if probe.connect_ex(("127.0.0.1", options.port)) == 0:
            raise RunError(f"port {options.port} is taken: choose another with PORT=")
    return Served(
        command=[*command, "serve", *words, "--port", str(options.port), *options.arguments],
        env={**os.environ, "VLLM_SHIM_ENGINE": shlex.quote(str(places.launcher))},
        name=name,
        port=options.port,
    )


def main(argv: Sequence[str], places: Places) -> int:
    try:
        served = plan(parse(argv), places)
    except RunError as error:
        print(f"cpu_engine: {error}", file=sys.stderr)
        return 1
    return Foreground(served).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Places()))
