"""A model's own files are downloaded from strangers: whatever stands in them, the start is a Plan or one sentence."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shims import cli, plan
from shims.exceptions import ShimError
from shims.facts import Facts

# What the tables look at.
KEYS = (
    "architectures", "model_type", "dtype", "torch_dtype", "sliding_window", "quantization_config", "quant_method",
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "text_config",
    "kv_lora_rank", "qk_rope_head_dim", "num_experts", "num_local_experts", "n_routed_experts", "layer_types",
    "max_position_embeddings", "rope_scaling", "temperature", "top_k", "top_p", "min_p", "repetition_penalty",
    "max_new_tokens", "eos_token_id", "rope_parameters", "index_head_dim",
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["bfloat16", "MixtralForCausalLM", "mistral", "fp8", 0, -1, 64])
)
ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner),
    max_leaves=8,
)
LINES = (
    (),
    ("--kv-cache-memory-bytes", "4G"),
    ("--convert", "classify"),
    ("--dtype", "float16", "--max-model-len", "4096"),
    ("--data-parallel-size", "2", "--enable-expert-parallel"),
    ("--prefill-context-parallel-size", "2"),
    ("--quantization", "fp8", "--kv-cache-dtype", "fp8"),
    ("--disable-sliding-window",),
    ("--speculative-config", '{"method":"ngram","num_speculative_tokens":3}'),
    ("--hf-overrides", '{"rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":1024}}'),
)


@settings(max_examples=100, deadline=None)
@given(config=st.dictionaries(st.sampled_from(KEYS), ANY), generation=ANY, line=st.sampled_from(LINES))
def test_a_model_of_any_description_is_a_plan_or_a_sentence(
    config: dict[str, Any], generation: Any, line: tuple[str, ...]
) -> None:
    facts = Facts(model_config=config, generation_config=generation if isinstance(generation, dict) else {})
    with contextlib.suppress(ShimError):
        plan.make(cli.from_words(["serve", "/models/m", *line]), {}, facts)
