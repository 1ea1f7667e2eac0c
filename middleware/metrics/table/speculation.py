"""Speculative decoding. SGLang counts its verifications and the tokens that come of them when a request is done.
Part of THE table of series.
"""

from dataclasses import replace

from middleware.metrics.record import How, Kind, Row, Series, absent, counter, gauge, term

_VERIFIED = "sglang:spec_verify_calls_total"
# Each verification gives the tokens that it accepts and one of its own; a request's first token is of its prefill.
_ACCEPTED = (
    term("sglang:generation_tokens_total"),
    term("sglang:num_requests_total", -1.0),
    term(_VERIFIED, -1.0),
)
_DRAFTED = Series(
    name="vllm:spec_decode_num_draft_tokens_total",
    kind=Kind.COUNTER,
    unit="tokens",
    help="Number of draft tokens.",
    how=How.COMPUTED,
    # As in SGLang's own rate: one of them is the token that was verified last. Where a tree is drafted steps are fewer.
    rows=(Row((term(_VERIFIED),), times="sglang:spec_num_draft_tokens", less=1.0),),
    why="the drafts times their present length; not exact where SGLang changes that while it runs",
)
_OURS = (
    counter("vllm:spec_decode_num_drafts_total", "drafts", "Number of spec decoding drafts.", _VERIFIED),
    _DRAFTED,
    counter(
        "vllm:spec_decode_num_accepted_tokens_total",
        "tokens",
        "Number of accepted tokens.",
        *_ACCEPTED,
        why="all tokens, without the one that each request and each draft has of itself",
    ),
    gauge(
        "vllm:spec_decode_draft_acceptance_rate",
        "0..1",
        "Speculative token acceptance rate.",
        "sglang:spec_accept_rate",
        versions="until 0.8",
    ),
)

# Of an engine that speculates: the first verification makes them, as --speculative-config does in vLLM.
SPECULATION: tuple[Series, ...] = (
    *(replace(series, only_with=_VERIFIED) for series in _OURS),
    absent("vllm:spec_decode_num_accepted_tokens_per_pos_total", Kind.COUNTER, "SGLang does not count by position"),
    absent("vllm:spec_decode_efficiency", Kind.GAUGE, "SGLang does not tell what it is made of", "until 0.8"),
    absent("vllm:diffusion_num_denoising_steps_total", Kind.COUNTER, "SGLang does not count its denoising steps"),
    absent("vllm:diffusion_num_canvas_positions_total", Kind.COUNTER, "SGLang does not count its denoising steps"),
    absent("vllm:diffusion_num_committed_tokens_total", Kind.COUNTER, "SGLang does not count its denoising steps"),
)
