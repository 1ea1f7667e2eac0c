"""`sampling_params` of SGLang's own routes: each parameter decided, because one of the wrong kind ends SGLang 0.5.23.
Used by the tables of `fields.native`; what is no parameter is refused, so that none is lost by a slip.
"""

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
)
from middleware.fields.record import Field
from middleware.fields.sglang import ENDLESS
from middleware.fields.typed import takes, unless_nothing

SAMPLING_PARAMS = "sampling_params"
LENGTH = "max_new_tokens"
# What SGLang takes for the length of an answer of which nothing is said.
IMPLIED_LENGTH = 128

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def _number(value: Any, loc: str, errors: Errors) -> Any:
    """5.0 is no int to the scheduler, which dies of one."""
    value = INT.read(value, loc, errors)
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = FieldType("int", _number)
_NATURAL = bounded(WHOLE, ge=0)


def _sequences(draft: Draft, name: str, value: Any) -> None:
    sequences(draft, value)


PARAMS: tuple[Field, ...] = (
    takes(LENGTH, _NATURAL, "no longer than the server allows"),
    takes("min_new_tokens", _NATURAL),
    takes("n", bounded(WHOLE, ge=1), "no more than VLLM_MAX_N_SEQUENCES", then=_sequences),
    takes("stop", limits.STOP, "no more than VLLM_MAX_STOP_STRINGS", then=limits.stop_strings),
    takes("stop_token_ids", list_of(WHOLE), "within the vocabulary", then=tokens.stop_ids),
    takes("logit_bias", dict_of(FLOAT), "within the vocabulary, and no more than 100", then=tokens.biases),
    *(takes(name, FLOAT) for name in ("temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty")),
    takes("repetition_penalty", FLOAT),
    takes("top_k", WHOLE),
    *(takes(name, STR) for name in ("json_schema", "regex", "ebnf", "structural_tag")),
    *(takes(name, BOOL) for name in ("ignore_eos", "skip_special_tokens", "spaces_between_special_tokens")),
    takes("no_stop_trim", BOOL),
    takes("stream_interval", bounded(WHOLE, ge=1)),
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
