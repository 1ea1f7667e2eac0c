"""Requests and their tokens: what SGLang counts when one is done, and what only the answers tell, which we count.
Part of THE table of series.
"""

from middleware.metrics.record import Kind, Series, absent, counted, counter, split, term

_TOKENS = "tokens"
_CACHED = "sglang:cached_tokens_total"
_SAMPLES = "counted when the request is done; with n > 1 SGLang's own prefill of the prompt is one prompt more"
FINISHED = ("stop", "length", "abort", "error", "repetition")
QUEUE_LIMITS = ("max_num_queued_reqs", "max_num_queued_tokens")

REQUESTS: tuple[Series, ...] = (
    counted(
        "vllm:request_success_total",
        Kind.COUNTER,
        "requests",
        "Count of successfully processed requests.",
        "finished",
        labels=("finished_reason",),
        seeds=[(reason,) for reason in FINISHED],
        why="each choice of each answer, as in vLLM; a call of a tool is a stop; what SGLang broke off is an error",
    ),
    counted(
        "vllm:request_params_n",
        Kind.HISTOGRAM,
        "choices",
        "Histogram of the n request parameter.",
        "params_n",
        family="request_params_n",
    ),
    counted(
        "vllm:request_params_max_tokens",
        Kind.HISTOGRAM,
        _TOKENS,
        "Histogram of the max_tokens request parameter.",
        "params_max_tokens",
        family="request_tokens",
        why="where a request sets none, what the model's length leaves behind its prompt, as far as that is known here",
    ),
    counted(
        "vllm:admission_rejections_total",
        Kind.COUNTER,
        "requests",
        "Number of admission attempts rejected by a queue limit, by reason.",
        "rejected",
        labels=("reason",),
        seeds=[(reason,) for reason in QUEUE_LIMITS],
        own=("model_name",),
        why="SGLang has no limit of queued tokens",
    ),
    counter(
        "vllm:prompt_tokens_total",
        _TOKENS,
        "Number of prefill tokens processed.",
        "sglang:prompt_tokens_total",
        why=_SAMPLES,
    ),
    counter(
        "vllm:generation_tokens_total",
        _TOKENS,
        "Number of generation tokens processed.",
        "sglang:generation_tokens_total",
        why="counted when the request is done; sglang:realtime_tokens_total counts each step",
    ),
    counter(
        "vllm:prompt_tokens_cached_total",
        _TOKENS,
        "Number of cached prompt tokens (local + external).",
        _CACHED,
        why="counted when the request is done",
    ),
    split(
        Kind.COUNTER,
        "vllm:prompt_tokens_cached_by_source_total",
        _TOKENS,
        "Prefix-cache hit tokens by the cache tier that supplied them.",
        "source",
        {
            "device": (term(_CACHED, cache_source="device"), term(_CACHED, cache_source="total")),
            "host": (term(_CACHED, cache_source="host"),),
            "p2p": (),
            "disk": (term(_CACHED, cache_source="storage"),),
            "external_unspecified": (),
        },
        why="counted when the request is done; SGLang has no cache in other instances",
    ),
    absent("vllm:mm_cache_queries_total", Kind.COUNTER, "SGLang counts no items of its multi-modal cache"),
    absent("vllm:mm_cache_hits_total", Kind.COUNTER, "SGLang counts no items of its multi-modal cache"),
    absent("vllm:corrupted_requests_total", Kind.COUNTER, "SGLang does not look for NaNs in logits"),
    absent("vllm:watermark_requests_total", Kind.COUNTER, "SGLang marks no answers"),
    absent("vllm:num_requests_kv_fetch_by_stage", Kind.GAUGE, "SGLang's queues of a KV transfer are `deferred`"),
    absent("vllm:tool_call_parser_invocations_total", Kind.COUNTER, "the parser is SGLang's, which counts no calls"),
)
