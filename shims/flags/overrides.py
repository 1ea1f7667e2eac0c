"""The model's configuration, overridden: --hf-overrides, and --rope-scaling and --rope-theta of 0.8 to 0.11, which
all become one JSON object for SGLang. `values.rope` spells rotary embeddings so that SGLang follows them.
"""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, invalid, refused
from shims.values.rope import longest, lost_theta, modernised
from shims.values.shapes import compact, is_finite

TO = "--json-model-override-args"
LONGER = "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN"


def hf_overrides(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return refused("only a JSON object becomes SGLang's overrides: a function's name cannot be loaded here")
    return _together(draft) if value else already("nothing is overridden")


def rope_scaling(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"rope_type": "yarn", "factor": 4.0}')
    return _together(draft) if value else already("nothing is overridden")


def rope_theta(draft: Draft, value: float) -> Outcome:
    if not is_finite(value) or value <= 0:
        return invalid(f"{value} is not a base of rotary embeddings: give a number above 0")
    return _together(draft)


def _together(draft: Draft) -> Outcome:
    """The older flags win over --hf-overrides, as in vLLM 0.11."""
    given = draft.given("--hf-overrides")
    overrides = dict(given) if isinstance(given, dict) else {}
    if isinstance(scaling := draft.given("--rope-scaling"), dict) and scaling:
        overrides["rope_scaling"] = scaling
    if is_finite(theta := draft.given("--rope-theta")):
        overrides["rope_theta"] = theta
    if part := lost_theta(overrides):
        return refused(f"SGLang does not follow rope_theta in {part}: give the whole rope_parameters there")
    _longer_context(draft, overrides)
    return draft.emit(TO, compact(modernised(overrides)))


def _longer_context(draft: Draft, overrides: dict[str, Any]) -> None:
    """SGLang 0.5.23 does not count YaRN's factor into the model's length, and stops at a longer --context-length."""
    length = draft.given("--max-model-len")
    if length is not None and 0 < length <= longest(overrides):
        draft.add_env(LONGER, "1", "--max-model-len is within what the overridden rotary embeddings reach")


FLAGS: tuple[Flag, ...] = (
    convert("--hf-overrides", hf_overrides, to=TO),
    convert("--rope-scaling", rope_scaling, to=TO),
    convert("--rope-theta", rope_theta, to=TO),
)
