"""How long requests took, and how large they were: SGLang's own histograms, with vLLM's bounds where SGLang lets us.
Part of THE table of series.
"""

from middleware.metrics.record import Kind, Series, absent, histogram, term, without_buckets

_SECONDS, _TOKENS = "seconds", "tokens"
_LATENCY, _TTFT, _ITL = "request_latency", "time_to_first_token", "inter_token_latency"
_LENGTH = "request_tokens"
_E2E = "sglang:e2e_request_latency_seconds"
_FIRST = "sglang:time_to_first_token_seconds"
_QUEUED = "sglang:queue_time_seconds"
_SGLANGS_BOUNDS = "sum and count are exact; the bounds are SGLang's, which has no setting for them"
_NO_BOUNDS = "sum and count are exact; SGLang does not measure it by request, so infinity is the only bound"
_STREAMS = "an answer that is no stream counts in steps of 50 tokens, as SGLang hands it on: one of up to 50 does not"
_SAMPLES = "with n > 1 SGLang's own prefill of the prompt is one request more"

LATENCY: tuple[Series, ...] = (
    histogram(
        "vllm:time_to_first_token_seconds",
        _SECONDS,
        "Histogram of time to first token in seconds.",
        _FIRST,
        family=_TTFT,
        why=_SAMPLES,
    ),
    histogram(
        "vllm:inter_token_latency_seconds",
        _SECONDS,
        "Histogram of inter-token latency in seconds.",
        "sglang:inter_token_latency_seconds",
        family=_ITL,
        why=_STREAMS,
    ),
    histogram(
        "vllm:time_per_output_token_seconds",
        _SECONDS,
        "Histogram of inter-token latency in seconds, by the name that it had first.",
        "sglang:inter_token_latency_seconds",
        family=_ITL,
        why=_STREAMS,
        versions="until 0.10; older dashboards read it",
    ),
    histogram(
        "vllm:request_time_per_output_token_seconds",
        _SECONDS,
        "Histogram of time_per_output_token_seconds per request.",
        "sglang:request_time_per_output_token_seconds",
        family=_ITL,
        why="a request of one token is not counted",
    ),
    histogram(
        "vllm:e2e_request_latency_seconds",
        _SECONDS,
        "Histogram of e2e request latency in seconds.",
        _E2E,
        family=_LATENCY,
        why=f"requests that were broken off count too; {_SAMPLES}",
    ),
    histogram(
        "vllm:request_queue_time_seconds",
        _SECONDS,
        "Histogram of time spent in WAITING phase for request.",
        _QUEUED,
        why=_SGLANGS_BOUNDS,
    ),
    histogram(
        "vllm:request_prefill_time_seconds",
        _SECONDS,
        "Histogram of time spent in PREFILL phase for request.",
        term("sglang:per_stage_req_latency_seconds", stage="prefill_forward"),
        why=_SGLANGS_BOUNDS,
    ),
    without_buckets(
        "vllm:request_decode_time_seconds",
        _SECONDS,
        "Histogram of time spent in DECODE phase for request.",
        (term(f"{_E2E}_sum"), term(f"{_FIRST}_sum", -1.0)),
        f"{_E2E}_count",
        f"the whole time without that to the first token, as far as it is known while requests run; {_NO_BOUNDS}",
    ),
    without_buckets(
        "vllm:request_inference_time_seconds",
        _SECONDS,
        "Histogram of time spent in RUNNING phase for request.",
        (term(f"{_E2E}_sum"), term(f"{_QUEUED}_sum", -1.0)),
        f"{_E2E}_count",
        f"the whole time without that in the queue, as far as it is known while requests run; {_NO_BOUNDS}",
    ),
    histogram(
        "vllm:request_prompt_tokens",
        _TOKENS,
        "Number of prefill tokens processed.",
        "sglang:prompt_tokens_histogram",
        family=_LENGTH,
        why=_SAMPLES,
    ),
    histogram(
        "vllm:request_generation_tokens",
        _TOKENS,
        "Number of generation tokens processed.",
        "sglang:generation_tokens_histogram",
        family=_LENGTH,
        why=_SAMPLES,
    ),
    histogram(
        "vllm:request_max_num_generation_tokens",
        _TOKENS,
        "Histogram of maximum number of requested generation tokens.",
        "sglang:generation_tokens_histogram",
        family=_LENGTH,
        why="with n > 1 each answer counts, and not the longest alone",
    ),
    histogram(
        "vllm:request_prefill_kv_computed_tokens",
        _TOKENS,
        "Histogram of new KV tokens computed during prefill (excluding cached tokens).",
        "sglang:uncached_prompt_tokens_histogram",
        family=_LENGTH,
        why=_SAMPLES,
    ),
    absent("vllm:iteration_tokens_total", Kind.HISTOGRAM, "SGLang does not count the tokens of a step by step"),
    absent("vllm:request_num_preemptions", Kind.HISTOGRAM, "SGLang counts preemptions, but not by request"),
    absent("vllm:kv_block_lifetime_seconds", Kind.HISTOGRAM, "SGLang does not sample its KV cache"),
    absent("vllm:kv_block_idle_before_evict_seconds", Kind.HISTOGRAM, "SGLang does not sample its KV cache"),
    absent("vllm:kv_block_reuse_gap_seconds", Kind.HISTOGRAM, "SGLang does not sample its KV cache"),
    absent("vllm:model_forward_time_milliseconds", Kind.HISTOGRAM, "no engine of today has it", "until 0.8"),
    absent("vllm:model_execute_time_milliseconds", Kind.HISTOGRAM, "no engine of today has it", "until 0.8"),
    absent("vllm:time_in_queue_requests", Kind.HISTOGRAM, "vllm:request_queue_time_seconds says it", "until 0.8"),
)
