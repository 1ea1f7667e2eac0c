"""What a trainer leaves on the shared disk for each step: the weights as safetensors and a file STABLE, nothing else.
Used by the rehearsals; the weights are the CPU model's own, a few of them changed a little.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
from pathlib import Path

STABLE = "STABLE"
WEIGHTS = "model.safetensors"
CHANGED = tuple(f"model.layers.{layer}.post_attention_layernorm.weight" for layer in range(2, 28, 3))
SPREAD = 0.5  # enough for other words after each step, which is much for a step


def write(model: Path, folder: Path, step: int) -> Path:
    """The folder, which may be there; STABLE comes last, when all of it is."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{WEIGHTS}"
    shutil.copyfile(model / WEIGHTS, fresh)
    change(fresh, step)
    fresh.rename(folder / WEIGHTS)
    (folder / STABLE).touch()
    return folder


def change(path: Path, step: int) -> None:
    """Each number of the tensors in CHANGED times a factor around 1, the same for the same step."""
    draw = random.Random(step)
    with path.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        tensors = json.loads(file.read(length))
        for name in CHANGED:
            assert tensors[name]["dtype"] == "BF16", f"{name} is {tensors[name]['dtype']}"
            start, end = tensors[name]["data_offsets"]
            file.seek(8 + length + start)
            raw = file.read(end - start)
            file.seek(8 + length + start)
            file.write(
                b"".join(_times(raw[at : at + 2], draw.uniform(1 - SPREAD, 1 + SPREAD)) for at in range(0, len(raw), 2))
            )


def _times(bfloat16: bytes, factor: float) -> bytes:
    """A bfloat16 is the upper half of a float."""
    (value,) = struct.unpack("<f", b"\0\0" + bfloat16)
    return struct.pack("<f", value * factor)[2:]
