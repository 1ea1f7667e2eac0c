"""THE table of what /v1/messages and /v1/messages/count_tokens take: vLLM 0.33.0's models of a request
(entrypoints/anthropic/protocol.py), member by member in its order, which is the order in which mistakes are told.
Read by `endpoints.messages`; what is not here nobody reads.
"""

import functools
from typing import Any

from middleware.fields.kinds import (
    BOOL,
    DICT,
    FLOAT,
    INT,
    STR,
    Errors,
    FieldType,
    bounded,
    dict_of,
    list_of,
    never_null,
    one_of,
    schema_error,
)
from middleware.fields.models import also, any_of, at_most, may, model, needed, of_length, tagged

_CHANGES = ("tool_addition", "tool_removal")
_BUDGET = 1024
_SALT = 1024
_NUMBERS = (STR, INT, FLOAT)


def _positive(value: Any) -> str | None:
    return "max_tokens must be positive" if value <= 0 else None


def _not_empty(value: Any) -> str | None:
    return None if value else "Model is required"


def _change_named(block: Any) -> str | None:
    kind, change = block["type"], block.get("tool")
    if kind not in _CHANGES:
        return None
    if change is None:
        return f"tool is required for {kind} blocks"
    if kind == "tool_removal" and change["type"] != "tool_reference":
        return "tool_removal only accepts a tool_reference"
    return None


def _no_changes(content: Any) -> str | None:
    for block in content if isinstance(content, list) else ():
        if block["type"] in _CHANGES:
            return f'{block["type"]} blocks are only allowed in messages with role "system"'
    return None


def _changes_of_system(message: Any) -> str | None:
    return None if message["role"] == "system" else _no_changes(message["content"])


def _tool_named(choice: Any) -> str | None:
    if choice["type"] == "tool" and not choice.get("name"):
        return "tool_choice.name is required when type is 'tool'"
    return None


def _room_for_answer(request: Any) -> str | None:
    """But for the first half of a request whose second is decoded elsewhere."""
    thinking = request.get("thinking") or {}
    if (request.get("kv_transfer_params") or {}).get("do_remote_decode") or thinking.get("type") != "enabled":
        return None
    if thinking["budget_tokens"] >= request["max_tokens"]:
        return "thinking.budget_tokens must be less than max_tokens"
    return None


TOOL = model(
    needed("name", STR),
    may("description", STR),
    needed("input_schema", DICT),
    may("strict", BOOL),
    may("defer_loading", BOOL),
)
TOOL_CHANGE = tagged(
    tool_reference=model(needed("type", one_of("tool_reference")), needed("name", STR)),
    tool_definition=model(needed("type", one_of("tool_definition")), needed("definition", TOOL)),
)
BLOCK = model(
    needed(
        "type",
        one_of(
            *("text", "image", "tool_use", "tool_result", "tool_reference", "thinking", "redacted_thinking"),
            *_CHANGES,
        ),
    ),
    may("text", STR),
    may("source", DICT),
    may("id", STR),
    may("tool_use_id", STR),
    may("name", STR),
    may("input", DICT),
    may("content", any_of(STR, list_of(DICT))),
    may("is_error", BOOL),
    may("tool_name", STR),
    may("thinking", STR),
    may("signature", STR),
    may("data", STR),
    may("tool", TOOL_CHANGE),
    after=_change_named,
)
CONTENT = any_of(STR, list_of(BLOCK))
MESSAGE = model(
    needed("role", one_of("user", "assistant", "system")), needed("content", CONTENT), after=_changes_of_system
)
TOOL_CHOICE = model(
    needed("type", one_of("auto", "any", "tool", "none")),
    may("name", STR),
    may("disable_parallel_tool_use", BOOL),
    after=_tool_named,
)
OUTPUT = model(
    may("effort", one_of("low", "medium", "high", "xhigh", "max")),
    may("format", model(may("schema", DICT), may("type", never_null(one_of("json_schema"))))),
)
# `display` is read and ignored: the thoughts are always told.
_DISPLAY = may("display", one_of("summarized", "omitted", "updates"))
THINKING = tagged(
    enabled=model(needed("type", one_of("enabled")), needed("budget_tokens", bounded(INT, ge=_BUDGET)), _DISPLAY),
    disabled=model(needed("type", one_of("disabled"))),
    adaptive=model(needed("type", one_of("adaptive")), _DISPLAY),
)
_MODEL = needed("model", also(STR, _not_empty))
_MESSAGES = needed("messages", list_of(MESSAGE))
_OUTPUT = may("output_config", OUTPUT)
_THINKING = may("thinking", THINKING)
_SYSTEM = may("system", also(CONTENT, _no_changes))
_CHOICE = may("tool_choice", TOOL_CHOICE)
_TOOLS = may("tools", list_of(TOOL))
_KWARGS = may("chat_template_kwargs", DICT)


@functools.cache
def messages(max_stop_strings: int) -> FieldType:
    """A request to /v1/messages; the number is VLLM_MAX_STOP_STRINGS."""
    return model(
        _MODEL,
        _MESSAGES,
        needed("max_tokens", also(INT, _positive)),
        may("metadata", DICT),
        _OUTPUT,
        _THINKING,
        may("stop_sequences", at_most(list_of(STR), max_stop_strings)),
        may("stream", BOOL),
        _SYSTEM,
        may("temperature", FLOAT),
        _CHOICE,
        _TOOLS,
        may("top_k", INT),
        may("top_p", FLOAT),
        may("mm_payload", never_null(one_of("tensors", "none"))),
        may("return_mm_kwargs", BOOL),
        may("cache_salt", of_length(STR, 1, _SALT)),
        may("watermarking", BOOL),
        may("kv_transfer_params", DICT),
        may("ec_transfer_params", DICT),
        may("vllm_xargs", dict_of(any_of(*_NUMBERS, list_of(any_of(*_NUMBERS))))),
        _KWARGS,
        after=_room_for_answer,
    )


COUNTED = model(_MODEL, _MESSAGES, _OUTPUT, _SYSTEM, _THINKING, _CHOICE, _TOOLS, _KWARGS)


def taken(schema: FieldType, body: dict[str, Any]) -> dict[str, Any]:
    """The request as vLLM reads it, or Refused."""
    errors: Errors = []
    read: dict[str, Any] = schema.read(body, "body", errors)
    if errors:
        raise schema_error(errors)
    return read
