"""With which bounds SGLang is started, so that every `le` is vLLM's, and which the middleware is told of.
`observability` has the flag, `defaults` asks for vLLM's own bounds, `served` tells the middleware.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from middleware.metrics.buckets import FAMILIES as VLLM
from shims.flags.draft import Draft
from shims.flags.record import Outcome, dropped, invalid

# vLLM's families of histograms. SGLang has a setting for some; `custom` is its word for a list of token counts.
FAMILIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "request_latency": (("--bucket-e2e-request-latency",),),
    "time_to_first_token": (("--bucket-time-to-first-token",),),
    "inter_token_latency": (("--bucket-inter-token-latency",),),
    "request_tokens": (("--prompt-tokens-buckets", "custom"), ("--generation-tokens-buckets", "custom")),
    "iteration_tokens": (),
    "request_params_n": (),
    "request_num_preemptions": (),
    "kv_cache_residency": (),
}
NOTES = {
    "request_latency": "the times of queue and prefill keep SGLang's bounds, which nothing sets",
    "request_params_n": "the middleware counts request_params_n",
}
OTHERS = "the bounds of the other: prompts and answers are one family in vLLM"


def buckets(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"request_latency": [0.1, 1, 10]}')
    for family, bounds in value.items():
        if family not in FAMILIES:
            return invalid(f"{family!r} is no family of histograms; vLLM has {', '.join(FAMILIES)}")
        if not _are_bounds(bounds):
            return invalid(f"{family}: give a list of numbers above 0, each greater than the one before")
    lost = [family for family in value if family not in VLLM]
    notes = [f"SGLang has no histogram for {', '.join(lost)}"] if lost else []
    notes += [note for family, note in NOTES.items() if family in value]
    if not value.keys() & VLLM.keys():
        return dropped("; ".join(notes) or "it names no family")
    draft.ask(histogram_buckets={family: tuple(map(float, bounds)) for family, bounds in value.items()})
    if flags := [flag for family, bounds in value.items() for flag in _flags(family, bounds)]:
        return draft.emit_all(*flags, note="; ".join(notes))
    return Outcome("ours", note="; ".join(notes))


def complete(draft: Draft) -> None:
    """vLLM's own, where nobody gave others. Who gave them for prompts or for answers gave them for both, as in vLLM:
    the middleware knows one list a family."""
    others = told(draft)
    for family in (family for family, flags in FAMILIES.items() if flags):
        why = OTHERS if family in others else "vLLM's bounds of this histogram"
        for flag, *bounds in _flags(family, others.get(family, VLLM[family])):
            draft.add(flag, *bounds, why=why)


def told(draft: Draft) -> Mapping[str, tuple[float, ...]]:
    """The bounds that are not vLLM's, as SGLang will have them: its own flags may have set others."""
    found = {family: tuple(bounds) for family, bounds in draft.policy.histogram_buckets.items()}
    for family, flags in FAMILIES.items():
        own = (_bounds(draft.engine_args.get(flag, ()), rule) for flag, *rule in flags)
        if bounds := next(filter(None, own), ()):
            found[family] = bounds
    return {family: bounds for family, bounds in found.items() if bounds != tuple(VLLM.get(family, ()))}


def _flags(family: str, bounds: Any) -> list[tuple[str, ...]]:
    return [(*words, *map(number, bounds)) for words in FAMILIES[family]]


def _bounds(texts: tuple[str, ...], rule: list[str]) -> tuple[float, ...]:
    """None of SGLang's rules by formula: what they yield is its own to say."""
    if list(texts[: len(rule)]) != rule:
        return ()
    try:
        return tuple(sorted(float(text) for text in texts[len(rule) :]))
    except ValueError:
        return ()


def _are_bounds(bounds: Any) -> bool:
    numbers = isinstance(bounds, list) and all(type(bound) in (int, float) for bound in bounds)
    # An integer of JSON may be too large for a float.
    if not numbers or not bounds or not all(0 < bound < 1e300 and math.isfinite(bound) for bound in bounds):
        return False
    return all(smaller < larger for smaller, larger in pairwise(bounds))


def number(bound: float) -> str:
    """As a person writes it: 20000000, not 20000000.0 or 2e7."""
    return str(int(bound)) if float(bound).is_integer() and bound < 1e15 else repr(float(bound))
