"""The tables of the requests of which little is decided: mostly what they may name, and what they may bring along.
Walked by `fields.edit`; a field that is not named here goes on as it came.
"""

from typing import Any

from middleware.fields import media, names, tokens, trust
from middleware.fields.bounds import Bounds
from middleware.fields.draft import Draft
from middleware.fields.kinds import (
    BOOL,
    DICT,
    FLOAT,
    INT,
    STR,
    Errors,
    FieldType,
    missing,
    never_null,
    schema_error,
    wrong,
)
from middleware.fields.record import Table, check, drop
from middleware.fields.sampling import Sampling
from middleware.fields.told import Kind
from middleware.fields.typed import becomes, ignored, takes

_TEMPLATES = (
    takes(
        "chat_template_kwargs", DICT, "with --trust-request-chat-template a template too", then=trust.template_kwargs
    ),
    becomes("chat_template", STR, trust.template, "chat_template_kwargs, with --trust-request-chat-template"),
)


def _positive(value: Any, loc: str, errors: Errors) -> Any:
    known = len(errors)
    value = INT.read(value, loc, errors)
    if len(errors) == known and value < 1:
        why = "max_tokens must be positive"
        wrong(errors, "value_error", loc, f"Value error, {why}", value, error=ValueError(why))
    return value


POSITIVE = never_null(FieldType("positive int", _positive))


def _required(draft: Draft) -> None:
    absent = [name for name in ("model", "messages", "max_tokens") if name not in draft.fields]
    if absent:
        raise missing(absent, len(draft.fields))


def _thoughts(draft: Draft, name: str, value: Any) -> None:
    budget, length = value.get("budget_tokens"), draft.number("max_tokens")
    if isinstance(budget, int) and length is not None and budget >= length:
        why = "thinking.budget_tokens must be less than max_tokens"
        errors: Errors = []
        wrong(errors, "value_error", "body", f"Value error, {why}", dict(draft.fields), error=ValueError(why))
        raise schema_error(errors)


# Anthropic's: its requests always name their length.
_NOT_ANTHROPICS = ("frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "min_tokens", "n")

MESSAGES = Table(
    "messages",
    answer=Kind.MESSAGE,
    fields=(
        takes("max_tokens", POSITIVE),
        takes("stream", BOOL),
        takes("temperature", FLOAT),
        takes("top_p", FLOAT),
        takes("top_k", INT, "no limit is 0 in vLLM and -1 in SGLang"),
        takes("thinking", DICT, "with a budget that leaves room for an answer", then=_thoughts),
        ignored("mm_payload", STR, "only vLLM's routes that render have it in their answers"),
        ignored("return_mm_kwargs", BOOL, "only vLLM's routes that render have it in their answers"),
        ignored("watermarking", BOOL, "of the watermark that a server is configured with, and none is"),
        ignored("kv_transfer_params", DICT, "of vLLM's own transfer of caches, which no server here is part of"),
        ignored("ec_transfer_params", DICT, "of vLLM's own transfer of caches, which no server here is part of"),
        ignored("vllm_xargs", DICT, "only a plugin of vLLM's reads it, and none runs here"),
        takes("chat_template_kwargs", DICT, "with --trust-request-chat-template", then=trust.template_kwargs),
        *(drop(name, "neither Anthropic's API nor vLLM's form of it has it") for name in _NOT_ANTHROPICS),
    ),
    repairs=(
        _required,
        names.named,
        media.in_content("messages", "system"),
        Sampling(required=True, only=frozenset({"temperature", "top_k", "top_p"})),
        Bounds(),
    ),
)
COUNTED = Table("count_tokens", answer=Kind.MESSAGE, repairs=(names.named, media.in_content("messages", "system")))
TOKENIZE = Table("tokenize", fields=_TEMPLATES, repairs=(media.in_content("messages"),))
DECISIONS = Table("decisions", fields=_TEMPLATES, repairs=(media.in_images,))
DETOKENIZE = Table("detokenize", fields=(check("tokens", tokens.prompt_ids, "no others than the vocabulary's"),))
