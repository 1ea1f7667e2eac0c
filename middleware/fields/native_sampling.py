"""`sampling_params` of SGLang's own routes: each parameter decided, because one of the wrong kind ends SGLang 0.5.23.
Used by the tables of `fields.native`; what is no parameter is refused, so that none is lost by a slip.
"""

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from middleware.errors import bad_request, bad_value
from middleware.fields import limits, tokens
from middleware.fields.bounds import sequences
from middleware.fields.draft import Draft
from middleware.fields.kinds import (
    ANY,
    BOOL,
    DICT,
    FLOAT,
    INT,
    INT64,
    STR,
    Errors,
    FieldType,
    bounded,
    dict_of,
    list_of,
    schema_error,
    wrong,
)
from middleware.fields.record import Field
from middleware.fields.sglang import ENDLESS
from middleware.fields.typed import takes, unless_nothing

SAMPLING_PARAMS = "sampling_params"
LENGTH = "max_new_tokens"
# What SGLang takes for the length of an answer of which nothing is said.
IMPLIED_LENGTH = 128
# The scheduler's tensors are of 32 bits: 2**31 in one of integers ends SGLang 0.5.23, and what is 0 or infinite in one
# of floats makes probabilities that are no numbers, which end it on a GPU. Between these nothing changes an answer:
# any token is likelier than LOWEST_TOP_P where it is the likeliest, and HIGHEST_TEMPERATURE makes all of them alike.
LARGEST = 2**31 - 1
LARGEST_TOP_K = 2**30
LOWEST_TOP_P = 1e-6
HIGHEST_TEMPERATURE = 1e6
LOWEST_REPETITION_PENALTY = 0.01

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def _number(value: Any, loc: str, errors: Errors) -> Any:
    """5.0 is no int to the scheduler, which dies of one."""
    value = INT.read(value, loc, errors)
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = FieldType("int", _number)
NATURAL = bounded(WHOLE, ge=0, le=LARGEST)


def _finite(value: Any, loc: str, errors: Errors) -> Any:
    """Written anew, an infinite number would be null, which asks for SGLang's default."""
    value = FLOAT.read(value, loc, errors)
    if isinstance(value, float) and not math.isfinite(value):
        wrong(errors, "finite_number", loc, "Input should be a finite number", value)
    return value


NUMBER = FieldType("float", _finite)


@dataclass(frozen=True, slots=True)
class _Range:
    """What SGLang takes, and what of that makes a difference; beyond it the nearest value that does is sent."""

    low: float
    high: float = math.inf
    without_low: bool = False
    least: float = -math.inf
    most: float = math.inf

    def __call__(self, draft: Draft, name: str, value: Any) -> None:
        if not self.low <= value <= self.high or (self.without_low and value == self.low):
            bounds = f"{'(' if self.without_low else '['}{self.low:g}, {self.high:g}]"
            raise bad_value(f"{name} must be in {bounds}, got {value}.", name, value)
        nearest = min(max(value, self.least), self.most)
        if nearest != value:
            draft.replace(name, nearest)


def _top_k(draft: Draft, name: str, value: Any) -> None:
    if value < 1 and value != -1:
        raise bad_value(f"{name} must be -1 (disable) or at least 1, got {value}.", name, value)
    if value >= min(draft.policy.vocab_size or LARGEST_TOP_K, LARGEST_TOP_K):
        draft.replace(name, -1)


def _sequences(draft: Draft, name: str, value: Any) -> None:
    sequences(draft, value)


_AS_FAR = "within what SGLang takes, and as far as it makes a difference"
_PENALTIES = ("frequency_penalty", "presence_penalty")
PARAMS: tuple[Field, ...] = (
    takes(LENGTH, bounded(WHOLE, ge=0, le=INT64 - 1), "no longer than the server allows"),
    takes("min_new_tokens", NATURAL),
    takes("n", bounded(WHOLE, ge=1), "no more than VLLM_MAX_N_SEQUENCES", then=_sequences),
    takes("stop", limits.STOP, "no more than VLLM_MAX_STOP_STRINGS", then=limits.stop_strings),
    takes("stop_token_ids", list_of(WHOLE), "within the vocabulary", then=tokens.stop_ids),
    takes("logit_bias", dict_of(FLOAT), "within the vocabulary, and no more than 100", then=tokens.biases),
    takes("temperature", NUMBER, _AS_FAR, then=_Range(0, most=HIGHEST_TEMPERATURE)),
    takes("top_p", NUMBER, _AS_FAR, then=_Range(0, 1, without_low=True, least=LOWEST_TOP_P)),
    takes("repetition_penalty", NUMBER, _AS_FAR, then=_Range(0, 2, without_low=True, least=LOWEST_REPETITION_PENALTY)),
    takes("min_p", NUMBER, "within what SGLang takes", then=_Range(0, 1)),
    *(takes(name, NUMBER, "within what SGLang takes", then=_Range(-2, 2)) for name in _PENALTIES),
    takes("top_k", WHOLE, "the whole vocabulary is -1", then=_top_k),
    *(takes(name, STR) for name in ("json_schema", "regex", "ebnf", "structural_tag")),
    *(takes(name, BOOL) for name in ("ignore_eos", "skip_special_tokens", "spaces_between_special_tokens")),
    takes("no_stop_trim", BOOL),
    takes("stream_interval", bounded(WHOLE, ge=1, le=LARGEST)),
    takes("sampling_seed", bounded(WHOLE, ge=-INT64, le=INT64 - 1)),
    unless_nothing("stop_regex", ANY, ENDLESS),
    unless_nothing("beam_width", WHOLE, "SGLang has no beam search here", nothing=(0, 1)),
    unless_nothing("custom_params", DICT, "they are for custom_logit_processor, which is not taken"),
    unless_nothing("watermark", ANY, "no watermark is configured"),
)
_NAMES = frozenset(field.name for field in PARAMS)


def sampling_params(draft: Draft) -> None:
    """One object for all prompts, or a list with one for each."""
    raw = draft.fields.get(SAMPLING_PARAMS)
    many = raw is not None and bytes(memoryview(raw)[:1]) == b"["
    try:
        given = [{}] if raw is None or not draft.given(SAMPLING_PARAMS) else _decoded(raw, many=many)
    except msgspec.ValidationError:
        errors: Errors = []
        kind = list_of(DICT) if many else DICT
        kind.read(draft.value(SAMPLING_PARAMS), f"body.{SAMPLING_PARAMS}", errors)
        raise schema_error(errors) from None
    changed = False
    for params in given:
        inner = Draft(params, draft.policy)
        _settle(inner)
        changed |= inner.changed
    if changed:
        draft.replace(SAMPLING_PARAMS, given if many else given[0])


def _decoded(raw: msgspec.Raw, *, many: bool) -> list[dict[str, msgspec.Raw]]:
    return _OBJECTS.decode(raw) if many else [_OBJECT.decode(raw)]


def _settle(inner: Draft) -> None:
    for name in inner.fields:
        if name not in _NAMES:
            raise bad_request(f"{name} is no sampling parameter of SGLang's.", SAMPLING_PARAMS)
    endless = LENGTH in inner.fields and not inner.given(LENGTH)
    for field in PARAMS:
        if field.name in inner.fields and field.converter is not None:
            field.converter(inner, field.name)
    cap = inner.policy.max_new_tokens
    wanted = None if endless else inner.number(LENGTH) if LENGTH in inner.fields else IMPLIED_LENGTH
    if cap and (wanted is None or wanted > cap):
        inner.replace(LENGTH, cap)
    elif endless:  # Which says something, unlike other nulls.
        inner.replace(LENGTH, None)
    least = inner.number("min_new_tokens")
    if least is not None and wanted is not None and least > wanted:
        raise bad_value(f"min_new_tokens must be in [0, {LENGTH}({wanted})], got {least}.", "min_new_tokens", least)
