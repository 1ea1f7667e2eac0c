"""Several models behind one endpoint: files of vLLM command lines become one Plan with several engines.

`shims.start` asks here whether a command line names such files; `command` then reads it, and `several` makes the Plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FLAG = "--shim-models"
VARIABLE = "VLLM_SHIM_MODELS"


def are_named(words: Sequence[str], env: Mapping[str, str]) -> bool:
    return bool(env.get(VARIABLE, "").strip()) or any(flag(word) == FLAG for word in words)


def flag(word: str) -> str:
    """A flag's name as vLLM spells it, with dashes and without its value."""
    name = word.partition("=")[0]
    return "--" + name[2:].replace("_", "-") if name.startswith("--") else name
