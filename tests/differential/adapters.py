"""Two LoRA adapters for the embedded model, written by hand: one of noise and one that changes nothing.
Made by `tests.differential.groups` in a folder of its own; only a real SGLang looks into them.
"""

from __future__ import annotations

import json
import random
import struct
from array import array
from pathlib import Path

LAYERS, HIDDEN, RANK = 30, 576, 8
# All three: SGLang 0.5.23 stacks them, and fails at its start where an adapter has only one.
OUTPUTS = {"q_proj": 576, "k_proj": 192, "v_proj": 192}
SPREAD = 0.02


def make_adapter(folder: Path, *, noise: bool) -> None:
    folder.mkdir(parents=True)
    config = {
        "base_model_name_or_path": "smollm2-135m",
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": RANK,
        "target_modules": list(OUTPUTS),
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(_safetensors(noise=noise))


def _safetensors(*, noise: bool) -> bytes:
    """A header in JSON behind its length, and the numbers in a row."""
    dice = random.Random(7)
    header: dict[str, object] = {}
    blobs: list[bytes] = []
    at = 0
    shapes = [(layer, module, letter) for layer in range(LAYERS) for module in OUTPUTS for letter in "AB"]
    for layer, module, letter in shapes:
        shape = (RANK, HIDDEN) if letter == "A" else (OUTPUTS[module], RANK)
        count = shape[0] * shape[1]
        silent = letter == "B" and not noise
        blob = array("f", [0.0]) * count if silent else array("f", (dice.gauss(0, SPREAD) for _ in range(count)))
        name = f"base_model.model.model.layers.{layer}.self_attn.{module}.lora_{letter}.weight"
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": (at, at + 4 * count)}
        blobs.append(blob.tobytes())
        at += 4 * count
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)
