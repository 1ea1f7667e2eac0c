"""Copies of the small model's weights that a trainer could have written: some layers are silent. No torch is needed."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

from tests.engine.conftest import MODEL

FILE = "model.safetensors"


def write_silenced(folder: Path, layers: Iterable[int]) -> None:
    """The weights alone, as prime-rl broadcasts them, with zeros for what these layers would add."""
    folder.mkdir()
    path = Path(shutil.copy(MODEL / FILE, folder))
    with path.open("r+b") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        index = json.loads(file.read(size))
        for layer in layers:
            first, last = index[f"model.layers.{layer}.mlp.down_proj.weight"]["data_offsets"]
            file.seek(8 + size + first)
            file.write(bytes(last - first))


def write_truncated(folder: Path) -> None:
    folder.mkdir()
    whole = (MODEL / FILE).read_bytes()
    (folder / FILE).write_bytes(whole[: len(whole) // 2])
