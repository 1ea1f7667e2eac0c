"""Requests, and answers of SGLang's as the tests of counts need them: their choices end as a test says."""

from __future__ import annotations

import json
from typing import Any

from tests.middleware.endpoints.sglang import NAME

# What is asked.
CHATS, COMPLETIONS, GENERATE = "/v1/chat/completions", "/v1/completions", "/generate"
HI = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"model": NAME, "messages": HI, "max_tokens": 5}
COMPLETE: dict[str, Any] = {"model": NAME, "prompt": "a", "max_tokens": 5}
NATIVE: dict[str, Any] = {"text": "a", "sampling_params": {"max_new_tokens": 3}}
# What is answered.
HEAD = {"id": "1", "created": 1, "model": NAME}
DONE = b"data: [DONE]\n\n"


def usage(prompt: int = 7, made: int = 3) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}


def chat(*reasons: str, prompt: int = 7, **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "a", "reasoning_content": None, "tool_calls": None, **message}
    choices = [{"index": n, "message": said, "logprobs": None, "finish_reason": r} for n, r in enumerate(reasons)]
    return {**HEAD, "object": "chat.completion", "choices": choices, "usage": usage(prompt)}


def completion(*reasons: str, prompt: int = 7) -> dict[str, Any]:
    choices = [{"index": n, "text": "a", "logprobs": None, "finish_reason": r} for n, r in enumerate(reasons)]
    return {**HEAD, "object": "text_completion", "choices": choices, "usage": usage(prompt)}


def chat_chunks(*reasons: str) -> list[dict[str, Any]]:
    """A role, a text and an end for each choice."""
    chunks = []
    for delta, ending in (({"role": "assistant", "content": ""}, False), ({"content": "a"}, False), ({}, True)):
        for index, reason in enumerate(reasons):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason if ending else None}
            chunks.append({**HEAD, "object": "chat.completion.chunk", "choices": [{**choice, "matched_stop": None}]})
    return chunks


def completion_chunks(*reasons: str) -> list[dict[str, Any]]:
    chunks = []
    for text, ending in (("a", False), ("b", True)):
        for index, reason in enumerate(reasons):
            choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason if ending else None}
            choices = [{**choice, "matched_stop": None}]
            chunks.append({**HEAD, "object": "text_completion", "choices": choices, "usage": None})
    return chunks


def generated(reason: str | None, index: int | None = None) -> dict[str, Any]:
    """Of /generate: `reason` is None while it goes on."""
    ending = None if reason is None else {"type": reason, "length": 3}
    info = {"id": "1", "finish_reason": ending, "prompt_tokens": 7, "completion_tokens": 3}
    return {"text": 'says "finish_reason": {"type": "odd"}', "meta_info": info} | (
        {} if index is None else {"index": index}
    )


def stream(*events: dict[str, Any], cut: bool = False, lines: bool = False) -> bytes:
    """`cut`: the connection ends before the answer does. `lines`: as Ollama has them, without events."""
    made = [json.dumps(event, separators=(",", ":")).encode() for event in events]
    data = [event + b"\n" for event in made] if lines else [b"data: " + event + b"\n\n" for event in made] + [DONE]
    kind = b"application/x-ndjson" if lines else b"text/event-stream"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % kind
    pieces = data[:-1] if cut else data
    return b"".join((head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"" if cut else b"0\r\n\r\n"))
