"""Which LoRA adapters SGLang cannot load: it joins the weights of q, k and v, and ends at its start where an adapter
has q_proj without v_proj. Read from the index of the weights, by `facts`, and only for folders that are here.
"""

from __future__ import annotations

import os
import re
import struct
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from shims import files
from shims.values import nested

LARGEST_INDEX = 100_000_000  # bytes, as safetensors itself has it
LAYER = re.compile(r"layers\.(\d+)\.")


def lacking(folder: str) -> str:
    """The module that is missing beside q_proj; empty if none is, and where it cannot be known."""
    names: list[str] = []
    try:
        for path in sorted(Path(folder).glob("*.safetensors")):
            names += _names(path)
    except (OSError, ValueError):
        return ""
    return _missing(names)


def _names(path: Path) -> Iterable[str]:
    """Raises OSError, and ValueError for what is no such file."""
    with open(path, "rb", opener=files.opened) as file:
        head = file.read(8)
        if len(head) < 8 or (size := struct.unpack("<Q", head)[0]) > min(
            LARGEST_INDEX, os.fstat(file.fileno()).st_size
        ):
            raise ValueError(f"{path} has no index")
        index = nested.loads(file.read(size).decode())
    return index if isinstance(index, dict) else ()


def _missing(names: Iterable[str]) -> str:
    """As SGLang 0.5.23's `normalize_qkv_proj` goes through the weights of a layer."""
    layers: dict[str, set[str]] = defaultdict(set)
    for name in names:
        if found := LAYER.search(name):
            layers[found[1]].add(name)
    for weights in layers.values():
        wanted = ["v_proj", "k_proj"] if any("k_proj" in name for name in weights) else ["v_proj"]
        for name in weights:
            if "q_proj" in name and (lost := [one for one in wanted if name.replace("q_proj", one) not in weights]):
                return lost[0]
    return ""
