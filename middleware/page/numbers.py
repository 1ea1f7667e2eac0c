"""A model's live numbers for the page: requests, tokens, the cache, from what /metrics is written of.
Called by `one` and `several` while somebody looks.
"""

from middleware.context import Context

# Ours are added up over their labels; a share is the highest of all ranks.
TOTALS = {
    "vllm:request_success_total": "finished",
    "vllm:prompt_tokens_total": "prompt_tokens",
    "vllm:generation_tokens_total": "generation_tokens",
    "vllm:time_to_first_token_seconds_sum": "ttft_sum",
    "vllm:time_to_first_token_seconds_count": "ttft_count",
    "vllm:num_preemptions_total": "preemptions",
}
SHARES = {"vllm:kv_cache_usage_perc": "kv_cache_usage"}


async def numbers(context: Context) -> dict[str, float]:
    """Without what SGLang has not told."""
    metrics = context.metrics
    load = await metrics.load()
    found: dict[str, float] = {} if load is None else {"running": load[0], "waiting": load[1]}
    for name, value in metrics.told():
        if name in TOTALS:
            found[TOTALS[name]] = found.get(TOTALS[name], 0.0) + value
        elif name in SHARES:
            found[SHARES[name]] = max(found.get(SHARES[name], 0.0), value)
    if done := context.metrics.counts.finished.values:
        found["finished"] = sum(done.values())
    return found
