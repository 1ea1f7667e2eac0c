"""What a client reads of an answer, by choice: text, tokens, ids, counts and how it ended; of a stream, put together.
Used by the test of values: the same model answers the same prompt alike at temperature 0, in vLLM and in SGLang.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.differential.wire import Answer, Judged

ROUTES = ("/v1/chat/completions", "/v1/completions")
Said = dict[str, Any]


def comparable(entry: Judged) -> bool:
    """Generated at temperature 0 by a request that vLLM served."""
    body = entry.request.document
    return (
        entry.request.path in ROUTES
        and entry.answer.status == 200
        and isinstance(body, dict)
        and body.get("temperature") == 0
    )


def values(answer: Answer) -> Said:
    body = (answer.body or b"").decode()
    if answer.kind == "text/event-stream":
        chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    else:
        chunks = [json.loads(body)]
    said: Said = {}
    for chunk in chunks:
        _add(said, "usage", _counts(chunk.get("usage")))
        for name in ("prompt_text", "prompt_token_ids"):
            _add(said, name, chunk.get(name))
        for choice in chunk.get("choices", ()):
            _choice(said, f"[{choice['index']}].", choice)
    return said


def _choice(said: Said, at: str, choice: Mapping[str, Any]) -> None:
    message = choice.get("message") or choice.get("delta") or choice
    for name in ("text", "content", "reasoning"):
        _join(said, at + name, message.get(name))
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        _join(
            said, f"{at}call[{call.get('index', 0)}]", (function.get("name") or "") + (function.get("arguments") or "")
        )
    for name in ("finish_reason", "stop_reason"):
        _add(said, at + name, choice.get(name))
    for name in ("token_ids", "prompt_token_ids"):
        _join(said, at + name, choice.get(name))
    logprobs = choice.get("logprobs")
    if logprobs is None:
        return
    if "content" in logprobs:
        for token in logprobs["content"] or ():
            _join(said, at + "tokens", [[token["token"], token["bytes"]]])
            _join(said, at + "ranked", [len(token["top_logprobs"])])
        return
    for name in ("tokens", "text_offset"):
        _join(said, at + name, logprobs[name])
    _join(said, at + "ranked", [row and (next(iter(row)), len(row)) for row in logprobs["top_logprobs"]])


def _counts(usage: Mapping[str, Any] | None) -> Any:
    return usage and {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}


def _add(said: Said, name: str, value: Any) -> None:
    """The last that is told."""
    if value is not None:
        said[name] = value


def _join(said: Said, name: str, value: Any) -> None:
    if value:
        said[name] = said[name] + value if name in said else value
