"""Folders of models and of adapters: a configuration, and the index of weights that nobody reads."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

A, B = "lora_A.weight", "lora_B.weight"
MLP = ("gate_proj", "up_proj", "down_proj")
# What goes in and what comes out.
MODULES = {
    "q_proj": (8, 8), "k_proj": (8, 4), "v_proj": (8, 4), "o_proj": (8, 8),
    "gate_proj": (8, 16), "up_proj": (8, 16), "down_proj": (16, 8),
}  # fmt: skip


def write_model(folder: Path, layers: int = 2, *, weights: bool = True, dtype: str = "BF16", **config: Any) -> None:
    folder.mkdir(exist_ok=True)
    config = {"hidden_size": 8, "num_hidden_layers": layers, **config}
    (folder / "config.json").write_text(json.dumps(config))
    if weights:
        shapes = {f"model.{_name(n, one)}.weight": [o, i] for n in range(layers) for one, (i, o) in MODULES.items()}
        write_index(folder / "model.safetensors", shapes, dtype)


def write_adapter(
    folder: Path,
    modules: Mapping[str, tuple[int, int]],
    *,
    rank: int = 2,
    layers: Sequence[int] = (0, 1),
    **config: Any,
) -> None:
    folder.mkdir(exist_ok=True)
    known = {"peft_type": "LORA", "r": rank, "lora_alpha": 4, "target_modules": list(modules), **config}
    (folder / "adapter_config.json").write_text(json.dumps(known))
    shapes: dict[str, list[int]] = {}
    for layer in layers:
        for module, (wide, high) in modules.items():
            stem = f"base_model.model.model.{_name(layer, module)}"
            shapes |= {f"{stem}.{A}": [rank, wide], f"{stem}.{B}": [high, rank]}
    write_index(folder / "adapter_model.safetensors", shapes)


def write_index(path: Path, shapes: Mapping[str, Sequence[int]], dtype: str = "F32") -> None:
    index = {name: {"dtype": dtype, "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    text = json.dumps(index).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def _name(layer: int, module: str) -> str:
    return f"layers.{layer}.{'mlp' if module in MLP else 'self_attn'}.{module}"
