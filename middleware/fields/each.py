"""One prompt or several, on SGLang's own routes, and what else a request says for each: as many as there are prompts.
Part of the tables of `fields.native`. SGLang 0.5.23 counts few of these lists: one for a single prompt ends it.
"""

import re
from typing import Any

import msgspec

from middleware.errors import bad_value
from middleware.fields import limits, media
from middleware.fields.draft import Draft
from middleware.fields.kinds import STR, Errors, FieldType, list_of, schema_error

TEXT, IDS = "text", "input_ids"
PAIRED = "is_cross_encoder_request"
PER_PROMPT = (
    "rid",
    "lora_path",
    "return_logprob",
    "logprob_start_len",
    "top_logprobs_num",
    "return_hidden_states",
    "return_sampling_mask",
    "sampling_logprobs_mode",
    "extra_key",
    "cache_salt",
    "sampling_params",
)
# A list of ids is for all prompts, a list of lists for each.
NESTED = (IDS, "token_ids_logprob")

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_TEXTS = msgspec.json.Decoder(str | list[str | list[str]])
_LIST_BEGINS = re.compile(rb"\[")
_LIST_OF_LISTS = re.compile(rb"\[\s*\[")


def each(kind: FieldType, *, null: bool = False) -> FieldType:
    """For all prompts, or a list with one for each; `null` in it where SGLang knows what that means."""

    def one(value: Any, loc: str, errors: Errors) -> Any:
        return value if value is None and null else kind.read(value, loc, errors)

    many = list_of(FieldType(kind.name, one))

    def read(value: Any, loc: str, errors: Errors) -> Any:
        return (many if isinstance(value, list) else kind).read(value, loc, errors)

    return FieldType(kind.name, read)


def texts_given(draft: Draft, name: str) -> None:
    if not draft.given(name):
        draft.drop(name)
        return
    limits.prompts(draft, name)
    try:
        value = _TEXTS.decode(draft.fields[name])
    except msgspec.ValidationError:
        value = draft.value(name)
        errors: Errors = []
        (list_of(STR) if isinstance(value, list) else STR).read(value, f"body.{name}", errors)
        raise schema_error(errors) from None
    if value == []:
        raise bad_value(f"{name} must not be empty.", name)


def one_for_each(draft: Draft) -> None:
    """A repair: whatever is a list is of this request's prompts."""
    if TEXT in draft.fields and IDS in draft.fields:
        raise bad_value(f"{TEXT} and {IDS} are two ways to give a prompt: give one of them.", IDS)
    _pairs(draft)
    alike(draft, _prompts(draft))


def ids_for_each(draft: Draft) -> None:
    """A repair of /encode, where one id for several prompts is SGLang's 500."""
    prompts = _prompts(draft)
    if prompts is not None and "rid" in draft.fields and _length(draft, "rid") is None:
        raise bad_value(f"rid must be a list with one for each of {prompts} prompts.", "rid")


def alike(draft: Draft, prompts: int | None) -> None:
    """`prompts` is None of one that is in no list."""
    for name in (*PER_PROMPT, NESTED[1], "modalities", *media.KINDS):
        if name in draft.fields:
            given = _length(draft, name)
            if given is not None and name in ("modalities", *media.KINDS):
                _beside(draft, name, given, prompts)
            elif given is not None:
                _require(name, given, prompts)


def _beside(draft: Draft, name: str, given: int, prompts: int | None) -> None:
    """Of one prompt there may be several; none for any of several prompts is a list that ends a request with 500."""
    if prompts is not None and not given:
        draft.drop(name)
    elif prompts is not None:
        _require(name, given, prompts)


def _require(name: str, given: int, prompts: int | None) -> None:
    """So many are given for so many prompts."""
    if prompts is None:
        raise bad_value(f"{name} must not be a list: there is one prompt.", name)
    if given != prompts:
        raise bad_value(f"{name} must have one item for each of {prompts} prompts, got {given}.", name)


def _length(draft: Draft, name: str) -> int | None:
    """None of what is no list, or is one for all prompts."""
    raw = draft.fields[name]
    many = (_LIST_OF_LISTS if name in NESTED else _LIST_BEGINS).match(raw) is not None
    return len(_LIST.decode(raw)) if many else None


def _prompts(draft: Draft) -> int | None:
    for name in (TEXT, IDS):
        if name in draft.fields:
            return _length(draft, name)
    # Of media alone only lists of lists are several requests.
    for name in media.KINDS:
        value = draft.value(name)
        if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
            return len(value)
        if value is not None:
            return None
    return None


def _pairs(draft: Draft) -> None:
    """A query and a document together are for a cross encoder, which takes no other list."""
    value = draft.value(TEXT)
    if not isinstance(value, list):
        return
    paired = draft.value(PAIRED) is True
    if not all(isinstance(item, list) == paired and (not paired or len(item) == 2) for item in value):
        what = "pairs of texts" if paired else f"texts; pairs of them are for {PAIRED}"
        raise bad_value(f"{TEXT} must be a list of {what}.", TEXT)
