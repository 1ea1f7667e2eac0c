"""GPU memory: how much of it, in which number format the KV cache is, and what goes to the host. The host's KV cache
is in `kv_transfer`.
"""

from __future__ import annotations

import math

from shims.flags import world
from shims.flags.draft import Draft
from shims.flags.record import (
    Converter,
    Flag,
    Outcome,
    already,
    convert,
    drop,
    dropped,
    invalid,
    refuse,
    vocabulary,
)
from shims.values import kv_bytes
from shims.values.numerics import KV_CACHE_DTYPE

# From here up the whole GPU was meant, and SGLang's own choice is better than a copy of the number.
WHOLE_GPU = 0.85
# What SGLang leaves beside weights and KV cache for activations and graphs, as a part of the GPU.
RESERVE = 0.10
BLOCK = 16  # vLLM's default on a GPU
PAGES = (1, 16, 32, 64, 128)
HUGE_GB = 1 << 20


def gpu_memory_utilization(draft: Draft, value: float) -> Outcome:
    """vLLM's number is a ceiling for everything, SGLang's is weights and KV cache only: the same number runs out of
    memory in CUDA graph capture. The reserve is a tenth of the GPU, and at most a quarter of what was given."""
    if not 0 < value <= 1:
        return invalid(f"{value} is not a part of the GPU's memory: give a number above 0 and up to 1")
    part = fraction(value)
    if part is None:
        return dropped("SGLang sizes its own memory when it has the GPU to itself")
    return draft.emit("--mem-fraction-static", part, note="weights and KV cache only, so a part is kept back")


def fraction(ceiling: float) -> float | None:
    """SGLang's number for a part of the GPU; None: its own choice is better."""
    return None if ceiling >= WHOLE_GPU else max(round(ceiling - min(RESERVE, ceiling / 4), 3), 0.001)


def prefix_caching(draft: Draft, value: bool) -> Outcome:
    return already("on by default in SGLang") if value else draft.emit("--disable-radix-cache")


def block_size(draft: Draft, value: int) -> Outcome:
    """How finely prefixes are shared; also the block of KV cache events."""
    if value < 1:
        return invalid(f"{value} is not a number of tokens: give 16, 32, 64 or 128")
    if value not in PAGES:
        return dropped(f"SGLang's kernels take pages of {', '.join(map(str, PAGES))} tokens (it changes reuse only)")
    return draft.emit("--page-size", value)


def num_gpu_blocks_override(draft: Draft, value: int) -> Outcome:
    if value < 1:
        return invalid(f"{value} is not a number of blocks: give 1 or more")
    size = max(1, draft.given("--block-size", BLOCK))
    return draft.emit("--max-total-tokens", value * size, note=f"{value} blocks of {size} tokens, on each GPU")


def kv_cache_memory_bytes(draft: Draft, value: int) -> Outcome:
    if value < 1:
        return invalid(f"{value} is not a number of bytes: give 1 or more")
    if "--max-total-tokens" in draft.engine_args:
        return dropped("--num-gpu-blocks-override says how large the KV cache is, as in vLLM")
    size = world.of(draft)
    dtype = draft.given("--kv-cache-dtype") or "auto"
    token = kv_bytes.per_token(draft.facts.model_config, dtype, size.tensor, size.pipeline)
    if token is None:
        draft.warnings.append(
            "--kv-cache-memory-bytes: what a token takes is not known for this model, so SGLang sizes the KV cache"
            " itself; give --max-total-tokens instead"
        )
        return dropped("what a token takes is not known for this model: SGLang sizes the KV cache itself")
    if value < token:
        return invalid(f"{value} bytes hold no token: one takes {token}")
    return draft.emit("--max-total-tokens", value // token, note=f"a token takes {token} bytes on each GPU")


def calculate_kv_scales(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default in SGLang")
    if str(draft.given("--kv-cache-dtype") or "").startswith("fp8"):
        draft.warnings.append(
            "--calculate-kv-scales: SGLang takes the scales from the checkpoint, or 1.0; answers may differ a little"
        )
    return dropped("SGLang takes the scales from the checkpoint, or 1.0")


def cpu_offload_gb(draft: Draft, value: float) -> Outcome:
    if value == 0:
        return already("0: nothing is offloaded")
    if not 0 < value < HUGE_GB:
        return invalid(f"{value} is not a number of GiB")
    return draft.emit("--cpu-offload-gb", math.ceil(value), note="whole GiB in SGLang")


def offload_group_size(draft: Draft, value: int) -> Outcome:
    if value <= 0:
        return already("0: no layers are offloaded") if value == 0 else invalid(f"{value}: give 0 or more")
    if draft.given("--cpu-offload-gb"):
        return invalid("--cpu-offload-gb is the other way to offload: give one of them")
    return draft.emit("--offload-group-size", value, action="same")


def of_a_group(flag: str) -> Converter:
    def converter(draft: Draft, value: int) -> Outcome:
        if value < 1:
            return invalid(f"{value}: give 1 or more")
        if "--offload-group-size" not in draft.engine_args:
            return dropped("without --offload-group-size it has no effect")
        return draft.emit(flag, value, action="same")

    return converter


CACHE = "it tunes vLLM's own prefix cache (reuse only, never results)"
FLAGS: tuple[Flag, ...] = (
    convert("--gpu-memory-utilization", gpu_memory_utilization, to="--mem-fraction-static"),
    convert("--kv-cache-dtype", vocabulary("--kv-cache-dtype", KV_CACHE_DTYPE, "KV cache type"), to="--kv-cache-dtype"),
    refuse("--kv-cache-dtype-skip-layers", "SGLang has one number format for all layers; leave it out"),
    convert("--calculate-kv-scales", calculate_kv_scales, "from the checkpoint, or 1.0"),
    convert("--block-size", block_size, to="--page-size"),
    convert("--num-gpu-blocks-override", num_gpu_blocks_override, to="--max-total-tokens"),
    convert("--kv-cache-memory-bytes", kv_cache_memory_bytes, to="--max-total-tokens"),
    convert("--enable-prefix-caching", prefix_caching, to="--disable-radix-cache"),
    drop("--prefix-caching-hash-algo", "SGLang compares the tokens themselves"),
    drop("--prefix-cache-retention-interval", CACHE),
    drop("--prefix-match-unit", CACHE),
    drop("--kv-sharing-fast-prefill", "it saves work in vLLM's prefill (speed only)"),
    drop("--swa-bounded-replay", CACHE),
    drop("--swap-space", "vLLM itself no longer swaps; SGLang computes again what it has evicted"),
    drop("--use-v2-block-manager", "vLLM itself ignored it from 0.8 on"),
    convert("--cpu-offload-gb", cpu_offload_gb, to="--cpu-offload-gb"),
    drop("--cpu-offload-params", "SGLang chooses which weights go to the host (speed only)"),
    drop("--offload-backend", "the sizes say how: --cpu-offload-gb or --offload-group-size (speed only)"),
    Flag("--offload-group-size", "same", to="--offload-group-size", convert=offload_group_size),
    Flag("--offload-num-in-group", "same", to="--offload-num-in-group", convert=of_a_group("--offload-num-in-group")),
    Flag(
        "--offload-prefetch-step", "same", to="--offload-prefetch-step", convert=of_a_group("--offload-prefetch-step")
    ),
    drop("--offload-params", "SGLang chooses which weights go to the host (speed only)"),
)
