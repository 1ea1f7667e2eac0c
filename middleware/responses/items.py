"""The items of `input` as vLLM 0.33.0 puts them into a chat: a thought, its words and its calls are one message there.
Called by `responses.asking`; what is in a message is for chat to look at.
"""

import json
from collections.abc import Callable
from typing import Any

from middleware.errors import Refused, bad_value
from middleware.fields.kinds import DICT, LIST, STR, Errors, FieldType, one_of, schema_error, wrong
from middleware.responses.tools import PAYLOAD, flat

Json = dict[str, Any]

INPUT = "input"
ROLES = one_of("user", "assistant", "system", "developer")
# Of an item that the model is to go on with.
PARTIAL = frozenset({"in_progress", "incomplete"})


def _input(value: Any, loc: str, errors: Errors) -> Any:
    """One of two forms: each says why the value is not of it."""
    if not isinstance(value, str | list):
        STR.read(value, f"{loc}.str", errors)
        LIST.read(value, f"{loc}.list", errors)
    return value


INPUT_KIND = FieldType("input", _input, null=False)


def messages(instructions: str | None, given: str | list[Any]) -> list[Json]:
    said: list[Json] = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(given, str):
        return [*said, {"role": "user", "content": given}]
    for place, item in enumerate(given):
        at = f"body.{INPUT}.{place}"
        _read(DICT, item, at)
        kind = item.get("type", "message" if "role" in item else None)
        say = _ITEMS.get(kind) if isinstance(kind, str) else None
        if say is None:
            raise bad_value(f"Unsupported input item type: {kind}", INPUT)
        said.extend(say(item, at, said[-1] if said and said[-1]["role"] == "assistant" else {}))
    return said


def goes_on(given: str | list[Any]) -> bool:
    """Whether the last item is one that the model had not finished."""
    last = given[-1] if given and isinstance(given, list) else None
    if not isinstance(last, dict) or last.get("type", "message") not in ("message", "reasoning"):
        return False
    return last.get("status") in PARTIAL


def _message(item: Json, at: str, before: Json) -> list[Json]:
    role = _needed(ROLES, item, "role", at)
    if "content" not in item:
        raise _missing(item, "content", at)
    content = item["content"]
    if not isinstance(content, list):
        _read(STR, content, f"{at}.content")
    if role != "assistant":
        return [{"role": role, "content": content}]
    return _of_assistant("content", _first_text(content), before)


def _first_text(content: Any) -> str:
    """vLLM reads no further."""
    if isinstance(content, str):
        return content
    part = content[0] if content else None
    text = part.get("text", part.get("refusal")) if isinstance(part, dict) else part
    return text if isinstance(text, str) else ""


def _reasoning(item: Json, at: str, before: Json) -> list[Json]:
    if item.get("encrypted_content"):
        raise bad_value("Encrypted content is not supported.", INPUT)
    for name in ("content", "summary"):
        if item.get(name) is not None:
            _read(LIST, item[name], f"{at}.{name}")
    return _of_assistant("reasoning", _first_text(item.get("content") or item.get("summary") or []), before)


def _of_assistant(name: str, text: str, before: Json) -> list[Json]:
    """Into the message before, where it has none yet."""
    if before and before.get(name) is None:
        before[name] = text
        return []
    return [{"role": "assistant", name: text}]


def _call(item: Json, at: str, before: Json) -> list[Json]:
    name, arguments = _needed(STR, item, "name", at), _needed(STR, item, "arguments", at)
    namespace = item.get("namespace")
    return _of_calls(item, at, flat(namespace, name) if namespace else name, arguments, before)


def _custom_call(item: Json, at: str, before: Json) -> list[Json]:
    arguments = json.dumps({PAYLOAD: _needed(STR, item, "input", at)}, ensure_ascii=False)
    return _of_calls(item, at, _needed(STR, item, "name", at), arguments, before)


def _of_calls(item: Json, at: str, name: str, arguments: str, before: Json) -> list[Json]:
    function = {"name": name, "arguments": arguments}
    call = {"id": _needed(STR, item, "call_id", at), "type": "function", "function": function}
    if before:
        before.setdefault("tool_calls", []).append(call)
        return []
    return [{"role": "assistant", "tool_calls": [call]}]


def _output(item: Json, at: str, before: Json) -> list[Json]:
    output = item.get("output")
    if not isinstance(output, list):
        _needed(STR, item, "output", at)
    return [{"role": "tool", "content": output, "tool_call_id": _needed(STR, item, "call_id", at)}]


# What an item adds to the conversation; the message before it, if that is the assistant's, may take it in.
_ITEMS: dict[str, Callable[[Json, str, Json], list[Json]]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _call,
    "custom_tool_call": _custom_call,
    "function_call_output": _output,
    "custom_tool_call_output": _output,
}


def _needed(kind: FieldType, item: Json, name: str, at: str) -> Any:
    if name not in item:
        raise _missing(item, name, at)
    return _read(kind, item[name], f"{at}.{name}")


def _missing(item: Json, name: str, at: str) -> Refused:
    errors: Errors = []
    wrong(errors, "missing", f"{at}.{name}", "Field required", item)
    return schema_error(errors)


def _read(kind: FieldType, value: Any, at: str) -> Any:
    errors: Errors = []
    taken = kind.read(value, at, errors)
    if errors:
        raise schema_error(errors)
    return taken
