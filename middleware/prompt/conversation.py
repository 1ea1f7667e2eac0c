"""A request's messages as vLLM 0.33.0 hands them to a chat template: its own choice and order of keys, text parts
joined by newlines or kept as parts, arguments of tool calls as objects. Called by `prompt.renderer`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from middleware.prompt.failures import BadPrompt, CannotRender

Format = Literal["string", "openai"]
Message = dict[str, Any]

# Each kind of part that is text, and the key that holds it.
TEXT_PARTS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "thinking": "thinking",
}
# Of all kinds of parts that vLLM knows; what else a part holds is the template's to see.
KNOWN_KEYS = frozenset(
    (
        *("audio_embeds", "audio_url", "closed", "data", "file", "image_embeds", "image_pil", "image_url"),
        *("input_audio", "name", "prompt_cache_breakpoint", "refusal", "text", "thinking", "type", "uuid"),
        *("video_embeds", "video_url"),
    )
)
# Claude Code's first line of system text, other on every request; vLLM takes it out for the sake of the prefix cache.
BILLING_HEADER = "x-anthropic-billing-header"
# Roles whose content may be null; any role's may be absent.
MAY_BE_EMPTY = ("assistant", "function")


def conversation(messages: Sequence[Any], content_format: Format) -> list[Message]:
    return [_message(message, content_format) for message in messages]


def _message(message: Any, content_format: Format) -> Message:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise BadPrompt("messages: every message needs a `role`, a string.", "messages")
    role = message["role"]
    parts = _parts(message, role)
    if role == "system":
        parts = _without_billing_header(parts)
    shown = [_part(part) for part in parts]
    result: Message = {"role": role, "content": shown if content_format == "openai" else _joined(shown)}
    if role == "assistant":
        _assistant(message, result)
    elif role == "tool":
        if "tool_call_id" in message:
            result["tool_call_id"] = message["tool_call_id"]
        # Most templates know nothing but text in a tool's answer.
        if all(part["type"] == "text" for part in shown):
            result["content"] = _joined(shown)
    for name in ("name", "task"):
        if isinstance(message.get(name), str):
            result[name] = message[name]
    if role == "developer":
        tools = message.get("tools")
        result["tools"] = [_developers_tool(tool) for tool in tools] if isinstance(tools, list) else tools
    return result


def _parts(message: dict[str, Any], role: str) -> Iterable[Any]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list):
        return content
    if content is None and ("content" not in message or role in MAY_BE_EMPTY):
        return []
    raise BadPrompt("messages: `content` should be a valid string or a list of parts.", "messages")


def _without_billing_header(parts: Iterable[Any]) -> Iterator[Any]:
    for part in parts:
        text = part if isinstance(part, str) else part.get("text") if _is(part, "text") else None
        if not (isinstance(text, str) and text.startswith(BILLING_HEADER)):
            yield part
        elif rest := text.partition("\n")[2]:
            yield rest if isinstance(part, str) else {**part, "text": rest}


def _is(part: Any, kind: str) -> bool:
    return isinstance(part, dict) and part.get("type") == kind


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        raise BadPrompt("messages: a part of a content needs a `type`, a string.", "messages")
    if kind == "tool_reference" and isinstance(part.get("name"), str):
        return {"type": "tool_reference", "name": part["name"]}
    if kind not in TEXT_PARTS:
        raise CannotRender(f"A content holds a part of type {kind[:40]!r}, which is not text.")
    text = part.get(TEXT_PARTS[kind])
    if not isinstance(text, str):
        raise BadPrompt(f"messages: a part of type {kind!r} needs `{TEXT_PARTS[kind]}`, a string.", "messages")
    return {"type": "text", "text": text, **{key: value for key, value in part.items() if key not in KNOWN_KEYS}}


def _joined(parts: Iterable[dict[str, Any]]) -> str:
    return "\n".join(part["text"] if part["type"] == "text" else part["name"] for part in parts)


def _assistant(message: dict[str, Any], result: Message) -> None:
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        raise BadPrompt("messages: `tool_calls` should be a valid list.", "messages")
    if calls:
        result["tool_calls"] = [_call(call) for call in calls]
    reasoning = message.get("reasoning")
    if reasoning is None:
        reasoning = message.get("reasoning_content")
    if reasoning is not None:
        if not isinstance(reasoning, str):
            raise BadPrompt("messages: `reasoning` should be a valid string.", "messages")
        result["reasoning"] = result["reasoning_content"] = reasoning


def _call(call: Any) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise BadPrompt("assistant tool_calls entries must be objects. (parameter=tool_calls)", "tool_calls")
    function = call.get("function")
    if call.get("type", "function") != "function" or not isinstance(function, dict):
        raise BadPrompt(
            "chat completions only support assistant tool_calls of type 'function'. (parameter=tool_calls)",
            "tool_calls",
        )
    function = _in_order(function, ("arguments", "name"))
    function["arguments"] = _arguments(function.get("arguments"))
    return _in_order({**call, "function": function}, ("id", "function", "type"))


def _developers_tool(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict):
        return tool
    function = _in_order(function, ("name", "description", "parameters", "strict"))
    return _in_order({**tool, "function": function}, ("function", "type"))


def _in_order(of: dict[str, Any], first: tuple[str, ...]) -> dict[str, Any]:
    return {name: of[name] for name in (*first, *of) if name in of}


def _arguments(given: Any) -> dict[str, Any]:
    """What is no object becomes an empty one: a mistake in the history would fail every turn after it."""
    if isinstance(given, str):
        try:
            given = json.loads(given) if given else {}
        except json.JSONDecodeError:
            return {}
        except (RecursionError, ValueError) as exc:
            raise BadPrompt(str(exc)) from exc
    return given if isinstance(given, dict) else {}


def developer_as_system(messages: list[Message]) -> list[Message]:
    """For templates that know no developer: one system message in front of all others, of all their texts."""
    turned = [
        {**{key: value for key, value in message.items() if key != "tools"}, "role": "system"}
        if message["role"] == "developer"
        else message
        for message in messages
    ]
    system = [message for message in turned if message["role"] == "system"]
    if len(system) == 1 and turned[0] is system[0]:
        return turned
    texts = [_plain(message["content"]) for message in system]
    merged = {"role": "system", "content": "\n\n".join(text for text in texts if text)}
    return [merged, *(message for message in turned if message["role"] != "system")]


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content if "text" in part)
