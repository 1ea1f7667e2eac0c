"""The fields of POST /inference/v1/generate, vLLM 0.33.0's way from token ids to token ids, which trainers roll out by.
Walked by `fields.edit`; what may be said of the sampling is in `fields.tokens_sampling`.
"""

from typing import Any

import msgspec

from middleware.errors import bad_value
from middleware.fields import common, names, tokens
from middleware.fields.draft import Draft
from middleware.fields.kinds import (
    ANY,
    BOOL,
    DICT,
    INT,
    INT64,
    STR,
    Errors,
    bounded,
    list_of,
    missing,
    never_null,
    one_of,
    schema_error,
    wrong,
)
from middleware.fields.record import Field, Table, check, same
from middleware.fields.tokens_sampling import SAMPLING, sampled
from middleware.fields.told import Kind
from middleware.fields.typed import ignored, ours, takes, unless_nothing
from middleware.fields.unknown import unknown_to
from middleware.fields.usage import STREAM_OPTIONS

IDS = "token_ids"
TEXT = "text"
REQUIRED = (IDS, SAMPLING)
NEGATIVE = "Value error, token_ids must not contain negative values"
_MEDIA = "SGLang cannot take a picture that was prepared for vLLM; send it in a chat to /v1/chat/completions"
_PARSED = (
    "output_mode 'derender' is not supported: nobody here parses tool calls and thoughts. Ask for 'tokens' and parse "
    "what they spell, or use /v1/chat/completions."
)
_APART = "of vLLM's own transfer of caches, which no server here is part of"


def _flat(draft: Draft, name: str) -> None:
    """One prompt, and not empty: a list of lists would be several to SGLang, and one of nothing ends it (0.5.23)."""
    raw = bytes(draft.fields[name])
    if raw.count(b"[") == 1 and raw.strip(b"[] \t\r\n") and b"-" not in raw:
        tokens.prompt_ids(draft, name)
        return
    value, loc, errors = msgspec.json.decode(raw), f"body.{name}", Errors()
    list_of(INT).read(value, loc, errors)
    if not errors and value == []:
        words = "List should have at least 1 item after validation, not 0"
        wrong(errors, "too_short", loc, words, value, field_type="List", min_length=1, actual_length=0)
    elif not errors:
        wrong(errors, "value_error", loc, NEGATIVE, value)
    raise schema_error(errors)


def _mode(draft: Draft, name: str, value: Any) -> None:
    draft.drop(name)
    if value == "derender":
        raise bad_value(_PARSED, name, value)
    if value == TEXT:
        draft.replace(TEXT, True)


def required(draft: Draft) -> None:
    absent = [name for name in REQUIRED if name not in draft.fields]
    if absent:
        raise missing(absent, len(draft.sent))


FIELDS: tuple[Field, ...] = (
    common.SALT,
    ours("request_id", never_null(STR), "rid, in vLLM's form: `fields.told`"),
    check(IDS, _flat, "input_ids; no others than the vocabulary's"),
    ignored("token_offsets", ANY, "where in a text the tokens were is nothing to the model"),
    unless_nothing("features", ANY, _MEDIA),
    unless_nothing("content_parts", ANY, _MEDIA),
    same(SAMPLING, "by a table of its own: `fields.tokens_sampling`"),
    takes("model", STR, "404 for what is not served; an adapter becomes lora_path: `fields.names`"),
    takes("reasoning_ended", BOOL, "require_reasoning, where a grammar is to wait for the end of the thoughts"),
    ignored("reasoning_parser_kwargs", DICT, "SGLang's parser asks the prompt"),
    ours("return_token_ids", BOOL, "the prompt's, in the answer: `fields.told`"),
    takes("output_mode", never_null(one_of("tokens", "text", "derender")), "derender is refused", then=_mode),
    ignored("parse_context", DICT, "of output_mode derender"),
    takes("stream", BOOL),
    ours("stream_options", STREAM_OPTIONS, "the answer's editing: `fields.told`"),
    takes("priority", never_null(bounded(INT, ge=-INT64, le=INT64 - 1)), "the same: the start turns SGLang's order"),
    ignored("kv_transfer_params", DICT, _APART),
    ignored("ec_transfer_params", DICT, _APART),
)

TOKENS_IN = Table(
    "inference_generate",
    answer=Kind.TOKENS,
    fields=FIELDS,
    repairs={
        "unknown_fields": unknown_to(FIELDS, TEXT),
        "required": required,
        "model": names.named,
        "sampling_params": sampled,
    },
)
