"""Anthropic's messages as the messages of a chat, as vLLM 0.33.0 converts them (entrypoints/anthropic/serving.py).
Used by `request`; what it is given has been read by `schema`.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from middleware.errors import bad_request
from middleware.prompt.conversation import BILLING_HEADER

Json = dict[str, Any]
Block = Mapping[str, Any]


def conversation(request: Mapping[str, Any], *, system_first: bool) -> list[Json]:
    """With `system_first` what the system says in between goes to the front, for templates that want it there."""
    messages: list[Json] = []
    texts = list(_top(request.get("system")))
    if system_first:
        texts += [text for each in request["messages"] if each["role"] == "system" and (text := _said(each["content"]))]
    if texts:
        messages.append({"role": "system", "content": "".join(texts)})
    for message in request["messages"]:
        if message["role"] != "system":
            messages += _turn(message["role"], message["content"])
        elif not system_first and (text := _said(message["content"])):
            messages.append({"role": "system", "content": text})
    return messages


def _top(system: str | Sequence[Block] | None) -> Iterator[str]:
    """A text as it is; of blocks not Claude Code's header, other on every request: no prefix would be in a cache."""
    if isinstance(system, str):
        if system:
            yield system
    elif system:
        yield from _texts(system)


def _said(content: str | Sequence[Block]) -> str:
    if isinstance(content, str):
        return "" if content.startswith(BILLING_HEADER) else content
    return "".join(_texts(content))


def _texts(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        text = block.get("text")
        if block["type"] == "text" and text and not text.startswith(BILLING_HEADER):
            yield text


def _turn(role: str, content: str | Sequence[Block]) -> Iterator[Json]:
    """The results of tools are messages of their own, in front of what else their message holds."""
    if isinstance(content, str):
        yield {"role": role, "content": content}
        return
    parts: list[Json] = []
    calls: list[Json] = []
    thoughts: list[str] = []
    for block in content:
        kind = block["type"]
        if kind == "text" and block.get("text"):
            parts.append({"type": "text", "text": block["text"]})
        elif kind == "image" and block.get("source"):
            parts.append(_image(block["source"]))
        elif kind == "thinking" and block.get("thinking") is not None:
            thoughts.append(block["thinking"])
        elif kind == "tool_use":
            calls.append(_call(block))
        elif kind == "tool_result" and role == "user":
            yield from _result(block)
        elif kind == "tool_result":
            parts.append({"type": "text", "text": f"Tool result: {block.get('content') or ''}"})
        # What is left is nothing to a model: thoughts that Anthropic has hidden, and changes of tools.
    message: Json = {"role": role}
    if thoughts:
        message["reasoning"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    if parts:
        alone = len(parts) == 1 and parts[0]["type"] == "text"
        message["content"] = parts[0]["text"] if alone else parts
    if role != "user" or "content" in message:
        yield message


def _image(source: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": _url(source)}}


def _url(source: Any) -> Any:
    if not isinstance(source, dict):
        raise bad_request("The source of an image must be an object.")
    if source.get("type") == "url":
        return source.get("url", "")
    return f"data:{source.get('media_type', 'image/jpeg')};base64,{source.get('data', '')}"


def _call(block: Block) -> Json:
    function = {"name": block.get("name") or "", "arguments": json.dumps(block.get("input") or {})}
    return {"id": block.get("id") or f"call_{int(time.time())}", "type": "function", "function": function}


def _result(block: Block) -> Iterator[Json]:
    """Its text, and then what a text cannot hold: images as the user's, and references to tools."""
    content = block.get("content")
    answers = {"role": "tool", "tool_call_id": block.get("tool_use_id") or ""}
    texts: list[str] = [content] if isinstance(content, str) else []
    images: list[Json] = []
    references: list[Json] = []
    for item in content if isinstance(content, list) else ():
        kind = item.get("type")
        if kind == "text":
            texts.append(item.get("text", ""))
        elif kind == "image" and _url(item.get("source", {})):
            images.append(_image(item.get("source", {})))
        elif kind == "tool_reference" and (name := item.get("tool_name") or item.get("name")):
            references.append({"type": "tool_reference", "name": name})
    if not all(isinstance(text, str) for text in texts):
        raise bad_request("The text of a tool's result must be a string.")
    yield {**answers, "content": "\n".join(texts)}
    if images:
        yield {"role": "user", "content": images}
    if references:
        yield {**answers, "content": references}
