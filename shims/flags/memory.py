"""GPU memory and the KV cache."""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, convert, dropped, refused, vocabulary
from shims.values.numerics import KV_CACHE_DTYPE

# From here up the whole GPU was meant, and SGLang's own choice is better than a copy of the number.
WHOLE_GPU = 0.85
# What SGLang leaves beside weights and KV cache for activations and graphs, as a part of the GPU.
RESERVE = 0.10


def gpu_memory_utilization(draft: Draft, value: float) -> Outcome:
    """vLLM's number is a ceiling for everything, SGLang's is weights and KV cache only: the same number runs out of
    memory in CUDA graph capture. The reserve is a tenth of the GPU, and at most a quarter of what was given."""
    if not 0 < value <= 1:
        return refused(f"{value} is not a part of the GPU's memory: give a number above 0 and up to 1")
    if value >= WHOLE_GPU:
        return dropped("SGLang sizes its own memory when it has the GPU to itself")
    fraction = round(value - min(RESERVE, value / 4), 3)
    return draft.emit("--mem-fraction-static", fraction, note="weights and KV cache only, so a part is kept back")


def prefix_caching(draft: Draft, value: bool) -> Outcome:
    if value:
        return dropped("on by default in SGLang")
    return draft.emit("--disable-radix-cache")


FLAGS: tuple[Flag, ...] = (
    convert("--gpu-memory-utilization", gpu_memory_utilization),
    convert("--kv-cache-dtype", vocabulary("--kv-cache-dtype", KV_CACHE_DTYPE, "KV cache type")),
    convert("--enable-prefix-caching", prefix_caching),
)
