"""What a FILE of `--shim-models` is: a models file of ours, a launch script of sglangmux, or llama-swap's YAML.
`command` calls `read` with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from shims.exceptions import CommandLineError
from shims.models import document, llama_swap, sglangmux
from shims.models.entry import Asked
from shims.models.read import read as read_ours

DOCUMENTS = (".yaml", ".yml", ".json")


def read(paths: Sequence[str], env: Mapping[str, str]) -> Asked:
    """Raises CommandLineError."""
    if not paths:
        raise CommandLineError("--shim-models: give at least one FILE: a models file (YAML or JSON), or launch scripts")
    return reduce(Asked.and_then, (_one(path, env) for path in dict.fromkeys(paths)))


def _one(path: str, env: Mapping[str, str]) -> Asked:
    text = document.read(path)
    if not path.endswith(DOCUMENTS):
        return sglangmux.read(path, text, env)
    root = document.parse(text, path)
    models = root.get("models")
    if models is not None and isinstance(models.value, dict):
        return llama_swap.read(root, env)
    return read_ours(root)
