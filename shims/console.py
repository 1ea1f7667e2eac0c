"""The `vllm` command of a wheel, and `vllm-to-sglang serve`: both become `python -I -m shims`. In an image and in a
checkout `shims/bin/vllm` does the same and finds its home by itself.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def vllm() -> NoReturn:
    """pip lets the last of two packages have a command. Where vLLM itself is installed beside us, it keeps its own."""
    if version := vllms_own():
        print(
            f"vllm: vLLM {version} is installed in {sys.prefix} too and keeps its command: this is vLLM."
            " `vllm-to-sglang serve` starts SGLang; install vllm-to-sglang into an environment of its own",
            file=sys.stderr,
            flush=True,
        )
        _become("-P", "-m", "vllm.entrypoints.cli.main", *sys.argv[1:])
    serve(sys.argv[1:])


def serve(words: Sequence[str]) -> NoReturn:
    # -I: neither the working directory nor PYTHONPATH, which is SGLang's, may shadow a module of ours.
    _become("-I", "-X", "utf8", "-m", "shims", *words)


def vllms_own() -> str:
    """The version of the real vLLM in this environment, or nothing."""
    try:
        return importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _become(*words: str) -> NoReturn:
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606
