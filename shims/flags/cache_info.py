"""The labels of `vllm:cache_config_info`, as far as the flags say them; the middleware adds what only the engine knows.
Called by `served`, when the translation is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shims.flags.draft import Draft
from shims.values.parts import parts
from shims.values.shapes import is_count

Source = Callable[[Draft], object]


def flag(name: str, default: object = None) -> Source:
    """vLLM's flag, in the words of its own command line: SGLang may have no such thing, and the label is vLLM's."""

    def read(draft: Draft) -> object:
        value = draft.given(name)
        return default if value is None else value

    return read


def always(value: object) -> Source:
    """What vLLM 0.33.0 says where nothing of its own kernels or connectors has set another."""
    return lambda _draft: value


def sliding_window(draft: Draft) -> object:
    """vLLM 0.33.0 has one only where every layer has it: a label for a mixed model would mislead."""
    for part in parts(draft.facts.model_config):
        if is_count(window := part.get("sliding_window")):
            kinds = part.get("layer_types")
            everywhere = not isinstance(kinds, list) or all(kind == "sliding_attention" for kind in kinds)
            off = part.get("use_sliding_window") is False or draft.given("--disable-sliding-window")
            return window if everywhere and not off else None
    return None


# In the order of vLLM 0.33.0's CacheConfig. None: only the running engine knows it, and the middleware fills it in.
LABELS: Mapping[str, Source | None] = {
    "block_size": None,
    "user_specified_block_size": lambda draft: draft.given("--block-size") is not None,
    "kv_cache_layout": always(None),
    "prefix_match_unit": flag("--prefix-match-unit"),
    "gpu_memory_utilization": flag("--gpu-memory-utilization", 0.92),
    "cache_dtype": flag("--kv-cache-dtype", "auto"),
    "is_attention_free": always(False),
    "num_gpu_blocks_override": flag("--num-gpu-blocks-override"),
    "sliding_window": sliding_window,
    "enable_prefix_caching": lambda draft: "--disable-radix-cache" not in draft.engine_args,
    "prefix_caching_hash_algo": flag("--prefix-caching-hash-algo", "sha256"),
    "prefix_cache_retention_interval": flag("--prefix-cache-retention-interval", 0),
    "kv_cache_dtype_skip_layers": flag("--kv-cache-dtype-skip-layers", []),
    "mamba_page_size_padded": always(None),
    "skip_page_size_padded": always(None),
    "mamba_block_size": flag("--mamba-block-size"),
    "mamba_cache_dtype": flag("--mamba-cache-dtype", "auto"),
    "mamba_ssm_cache_dtype": flag("--mamba-ssm-cache-dtype", "auto"),
    "mamba_cache_mode": flag("--mamba-cache-mode", "none"),
    "enable_mamba_shared_prefix_checkpoint": flag("--enable-mamba-shared-prefix-checkpoint", False),
    "replayssm_buffer_len": flag("--replayssm-buffer-len", 16),
    "use_replayssm": flag("--use-replayssm", False),
    "use_kda_recoverssm": always(False),
    "num_gpu_blocks": None,
    "num_cpu_blocks": always(None),
    "simple_cpu_offload_num_blocks": always(None),
    "effective_attention_block_size": None,
    "kv_cache_size_tokens": None,
    "kv_cache_max_concurrency": None,
    "hash_block_size": always(None),
    "cache_hit_alignment_tokens": always(None),
    "kv_sharing_fast_prefill": flag("--kv-sharing-fast-prefill", False),
    "swa_bounded_replay": flag("--swa-bounded-replay", True),
    "kv_cache_memory_bytes": flag("--kv-cache-memory-bytes"),
    "kv_offloading_size": flag("--kv-offloading-size"),
    "kv_offloading_backend": flag("--kv-offloading-backend", "native"),
    "_block_size_resolved": always(True),
}


def labels(draft: Draft) -> Mapping[str, str]:
    """In vLLM's form, which is Python's: True, None, 0.92."""
    return {name: str(source(draft)) for name, source in LABELS.items() if source is not None}
