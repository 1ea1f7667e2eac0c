"""What the middleware knows of the engine without asking it: its sleep, its adapters, its configuration.
Part of THE table of series.
"""

import time
from collections.abc import Iterable

from middleware.engine import State
from middleware.metrics.known import Known
from middleware.metrics.record import Kind, Labels, Series, absent, told


def _sleep_state(known: Known) -> Iterable[tuple[Labels, float]]:
    """SGLang keeps the weights of a sleeping engine, or has them on the host: vLLM's level 1."""
    if not known.engine.alive:
        return
    asleep = known.engine.state is State.ASLEEP
    for name, holds in (("awake", not asleep), ("weights_offloaded", asleep), ("discard_all", False)):
        yield (("sleep_state", name),), float(holds)


def _lora_requests(known: Known) -> Iterable[tuple[Labels, float]]:
    """The time is the value, as in vLLM: of several samples the last is the one that holds."""
    if known.policy.max_loras:
        running = ",".join(known.model.adapters.running())
        labels = (
            ("max_lora", str(known.policy.max_loras)),
            ("running_lora_adapters", running),
            ("waiting_lora_adapters", ""),
        )
        yield labels, time.time()


def _cache_config(known: Known) -> Iterable[tuple[Labels, float]]:
    """One for each engine; the sizes are the engine's own."""
    sizes = known.gauges("sglang:page_size")
    for engine, count in known.gauges("sglang:num_pages").items():
        size = sizes.get(engine, 1.0)
        own = {
            "engine": engine,
            "block_size": f"{size:.0f}",
            "effective_attention_block_size": f"{size:.0f}",
            "num_gpu_blocks": f"{count:.0f}",
            "kv_cache_size_tokens": f"{count * size:.0f}",
        }
        if known.model.context_length:
            own["kv_cache_max_concurrency"] = f"{count * size / known.model.context_length:.2f}"
        yield tuple(sorted({**known.policy.cache_config, **own}.items())), 1.0


def _host_cache(known: Known) -> Iterable[tuple[Labels, float]]:
    used, totals = known.gauges("sglang:hicache_host_used_tokens"), known.gauges("sglang:hicache_host_total_tokens")
    for engine in known.gauges("sglang:num_pages"):
        total = totals.get(engine, 0.0)
        yield (("engine", engine),), used.get(engine, 0.0) / total if total else 0.0


ENGINE: tuple[Series, ...] = (
    told(
        "vllm:engine_sleep_state",
        "0 or 1",
        "Engine sleep state: awake, or asleep at level 1 (weights_offloaded) or 2 (discard_all).",
        _sleep_state,
        labels=("sleep_state",),
    ),
    told(
        "vllm:lora_requests_info",
        "Unix seconds",
        "Running stats on lora requests.",
        _lora_requests,
        labels=("max_lora", "running_lora_adapters", "waiting_lora_adapters"),
        own=(),
        why="only with --enable-lora; a request that waits counts as running, because SGLang does not tell them apart",
    ),
    told(
        "vllm:cache_config_info",
        "1",
        "Information of the LLMEngine CacheConfig",
        _cache_config,
        labels=("engine", "block_size", "num_gpu_blocks"),
        own=(),
        why="and vLLM's other labels: sizes as SGLang has them, the rest as the command line says; vLLM's own kinds of "
        "cache are None",
    ),
    told(
        "vllm:cpu_cache_usage_perc",
        "0..1",
        "CPU KV-cache usage. 1 means 100 percent usage.",
        _host_cache,
        versions="until 0.8",
        why="of SGLang's hierarchical cache; 0 without one",
    ),
    absent("vllm:websocket_connections_total", Kind.COUNTER, "WebSockets are not served"),
    absent("vllm:websocket_connections_active", Kind.GAUGE, "WebSockets are not served"),
    absent("vllm:websocket_connection_duration_seconds", Kind.HISTOGRAM, "WebSockets are not served"),
)
