"""What SGLang's scheduler tells at prefills, each tenth decode step and when idle: the KV cache and its prefixes.
Part of THE table of series.
"""

from middleware.metrics.record import How, Kind, Row, Series, constant, counter, gauge, split, term

_PREFILL = "sglang:prefill_effective_tokens_total"
_COMPUTED = term(_PREFILL, mode="input")
_DEVICE = term(_PREFILL, mode="device_hit")
_HOST = term(_PREFILL, mode="host_hit")
_STORAGE = term(_PREFILL, mode="storage_hit")
_QUERIED = (_COMPUTED, _DEVICE, _HOST, _STORAGE)
_OLD_QUERIES = "until 0.9; the production stack's router and dashboard read it"

SCHEDULER: tuple[Series, ...] = (
    constant(
        "vllm:num_requests_swapped",
        Kind.GAUGE,
        "requests",
        "Number of requests swapped to CPU.",
        "neither engine swaps requests out any more: what is preempted is computed again",
        versions="until 0.8",
    ),
    gauge("vllm:kv_cache_usage_perc", "0..1", "KV-cache usage. 1 means 100 percent usage.", "sglang:token_usage"),
    gauge(
        "vllm:gpu_cache_usage_perc",
        "0..1",
        "GPU KV-cache usage. 1 means 100 percent usage.",
        "sglang:token_usage",
        versions="until 0.9; the production stack's router and many autoscalers read it",
    ),
    counter(
        "vllm:prefix_cache_queries_total",
        "tokens",
        "Prefix cache queries, in terms of number of queried tokens.",
        *_QUERIED,
    ),
    counter(
        "vllm:prefix_cache_hits_total",
        "tokens",
        "Prefix cache hits, in terms of number of cached tokens.",
        _DEVICE,
    ),
    counter(
        "vllm:gpu_prefix_cache_queries_total",
        "tokens",
        "GPU prefix cache queries, in terms of number of queried tokens.",
        *_QUERIED,
        versions=_OLD_QUERIES,
    ),
    counter(
        "vllm:gpu_prefix_cache_hits_total",
        "tokens",
        "GPU prefix cache hits, in terms of number of cached tokens.",
        _DEVICE,
        versions=_OLD_QUERIES,
    ),
    gauge(
        "vllm:gpu_prefix_cache_hit_rate",
        "0..1",
        "GPU prefix cache block hit rate.",
        "sglang:cache_hit_rate",
        why="of the last batch that was prefilled; for more than a glance take the rates of hits and queries",
        versions="until 0.8; the production stack's router reads it",
    ),
    Series(
        name="vllm:external_prefix_cache_queries_total",
        kind=Kind.COUNTER,
        unit="tokens",
        help="External prefix cache queries, in terms of number of queried tokens: what the device's cache had not.",
        how=How.COMPUTED,
        rows=(Row((_COMPUTED, _HOST, _STORAGE), given="sglang:hicache_host_total_tokens"),),
        why="of SGLang's hierarchical cache (--enable-hierarchical-cache); 0 without one",
    ),
    counter(
        "vllm:external_prefix_cache_hits_total",
        "tokens",
        "External prefix cache hits, in terms of number of cached tokens.",
        _HOST,
        _STORAGE,
    ),
    split(
        Kind.COUNTER,
        "vllm:prompt_tokens_by_source_total",
        "tokens",
        "Number of prompt tokens by source.",
        "source",
        {"local_compute": (_COMPUTED,), "local_cache_hit": (_DEVICE,), "external_kv_transfer": (_HOST, _STORAGE)},
        why="counted when they are prefilled, prompt_tokens_total when their request is done",
    ),
    counter(
        "vllm:num_preemptions_total",
        "preemptions",
        "Cumulative number of preemption from the engine.",
        "sglang:num_retracted_requests_total",
    ),
    counter(
        "vllm:estimated_flops_per_gpu_total",
        "operations",
        "Estimated number of floating point operations per GPU.",
        "sglang:estimated_flops_per_gpu_total",
        why="0 without --enable-mfu-metrics, as in vLLM",
    ),
    counter(
        "vllm:estimated_read_bytes_per_gpu_total",
        "bytes",
        "Estimated number of bytes read from memory per GPU.",
        "sglang:estimated_read_bytes_per_gpu_total",
        why="0 without --enable-mfu-metrics, as in vLLM",
    ),
    counter(
        "vllm:estimated_write_bytes_per_gpu_total",
        "bytes",
        "Estimated number of bytes written to memory per GPU.",
        "sglang:estimated_write_bytes_per_gpu_total",
        why="0 without --enable-mfu-metrics, as in vLLM",
    ),
)
