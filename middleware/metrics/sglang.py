"""What of SGLang's own series stays on the page under its own name: all but what is said already or says nothing.
Asked by `page`.
"""

# Renamed on the page, with the same numbers: twice the lines would tell nothing more. What is only a part of a series
# of vLLM's stays.
SAID_ALREADY = frozenset(
    {
        "sglang:e2e_request_latency_seconds",
        "sglang:time_to_first_token_seconds",
        "sglang:inter_token_latency_seconds",
        "sglang:request_time_per_output_token_seconds",
        "sglang:queue_time_seconds",
        "sglang:prompt_tokens_histogram",
        "sglang:uncached_prompt_tokens_histogram",
        "sglang:generation_tokens_histogram",
    }
)
SAYS_NOTHING: dict[str, str] = {
    "sglang:routing_key_": "of SGLang's own router, which nobody runs here: 22 lines of 0",
    "sglang:http_requests_active": "of our requests to SGLang: vllm_shim:requests_in_flight says it",
}
# What we write ourselves: a series that stands there twice is a fault to Prometheus.
OURS = ("vllm:", "vllm_shim:", "http_", "process_", "python_")


def is_kept(name: str) -> bool:
    return name not in SAID_ALREADY and not name.startswith((*SAYS_NOTHING, *OURS))
