"""How many bytes of KV cache one token takes on one GPU, from the model's config.json. `flags/memory.py` turns
--kv-cache-memory-bytes into tokens with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BYTES = {"fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1, "auto": 2, "bfloat16": 2}  # by vLLM's --kv-cache-dtype
# Layers of other kinds hold other amounts: no single number says what a token takes.
MIXED = ("layer_types", "layers_block_type", "hybrid_override_pattern", "index_head_dim", "sliding_window_pattern")


def per_token(config: Mapping[str, Any], dtype: str, tensor: int, pipeline: int) -> int | None:
    """None where config.json does not say, or where its layers differ."""
    text = config.get("text_config")
    config = text if isinstance(text, dict) else config
    size, layers = BYTES.get(dtype), _number(config, "num_hidden_layers")
    if size is None or not layers or any(_differ(config.get(key)) for key in MIXED):
        return None
    if latent := _number(config, "kv_lora_rank"):  # MLA: one vector for all heads, whole on every rank
        width = latent + _number(config, "qk_rope_head_dim")
    else:
        heads = _number(config, "num_attention_heads")
        kv_heads = _number(config, "num_key_value_heads") or heads
        head = _number(config, "head_dim") or (_number(config, "hidden_size") // heads if heads else 0)
        width = 2 * max(1, kv_heads // tensor) * head if kv_heads else 0
    return (size * width * -(-layers // pipeline)) or None


def _number(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _differ(value: Any) -> bool:
    """A list of one kind for all layers is as good as none."""
    return len({str(one) for one in value}) > 1 if isinstance(value, list) else bool(value)
