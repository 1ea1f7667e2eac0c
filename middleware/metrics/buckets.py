"""The bounds of vLLM's histograms, as vllm/v1/metrics/buckets.py of 0.33.0 has them, by family.
Standard library only: the shims start SGLang with them, so that each `le` is vLLM's; `table` and `counts` use the rest.
"""

import math
from collections.abc import Container, Mapping, Sequence

REQUEST_LATENCY = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0),
    *(60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
TIME_TO_FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
INTER_TOKEN_LATENCY = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
# vLLM's go up to the model's length, which is known when the engine is ready: SGLang is given more, and those beyond
# are not shown. No model is longer.
LONGEST_REQUEST_TOKENS = 20_000_000


def one_two_five(longest: int) -> tuple[float, ...]:
    """1, 2, 5, 10, 20, 50 ... up to `longest` tokens."""
    powers = range(len(str(longest)))
    return tuple(float(bound) for power in powers for step in (1, 2, 5) if (bound := step * 10**power) <= longest)


# Of prometheus-fastapi-instrumentator 8, as vLLM 0.33.0 has it.
HTTP_FINE = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 7.5),
    *(10.0, 30.0, 60.0),
)

FAMILIES: Mapping[str, Sequence[float]] = {
    "request_latency": REQUEST_LATENCY,
    "time_to_first_token": TIME_TO_FIRST_TOKEN,
    "inter_token_latency": INTER_TOKEN_LATENCY,
    "request_params_n": (1.0, 2.0, 5.0, 10.0, 20.0),
    "request_tokens": one_two_five(LONGEST_REQUEST_TOKENS),
    "http_fine": HTTP_FINE,
    "http": (0.1, 0.5, 1.0),
    "overhead": (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0, 10.0),
}


def is_beyond(family: str, bound: float, longest: int | None, own: Container[str]) -> bool:
    """vLLM's bounds of lengths end with the model's, but for the operator's `own`. Before that is known none is
    written: it might vanish."""
    if family != "request_tokens" or family in own or bound == math.inf:
        return False
    return longest is None or bound > longest
