"""What SGLang and vLLM were recorded to answer to the same request, and what the dialect makes of the first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from middleware.dialect.events import Events
from middleware.dialect.ids import identify
from middleware.dialect.reply import Whole, reply
from middleware.dialect.voice import Voice
from middleware.fields.told import Kind, Told, told

RECORDINGS: dict[str, dict[str, Any]] = {
    exchange["name"]: exchange for exchange in json.loads((Path(__file__).parent / "recordings.json").read_text())
}
KINDS = {
    "/v1/chat/completions": Kind.CHAT,
    "/v1/completions": Kind.COMPLETION,
    "/v1/responses": Kind.RESPONSE,
}
VOICE = Voice(fingerprint="vllm-0.33.0-a18d9812", model="smollm2-135m")
JSON = [(b"content-type", b"application/json")]
STREAM = [(b"content-type", b"text/event-stream; charset=utf-8")]


def told_of(name: str, **more: Any) -> Told:
    exchange = RECORDINGS[name]
    request = (exchange["request"] or {}) | more
    fields = {key: msgspec.Raw(json.dumps(value).encode()) for key, value in request.items()}
    known = told(KINDS.get(exchange["path"], Kind.OTHER), fields)
    # Of the right kind in every recording, so that the walk would find these.
    known.stop_token_ids = frozenset(request.get("stop_token_ids") or ())
    identify(known, [])
    return known


def theirs(name: str) -> bytes:
    body: str = RECORDINGS[name]["sglang"]["body"]
    return body.encode()


def vllms(name: str) -> Any:
    return json.loads(RECORDINGS[name]["vllm"]["body"])


def whole(name: str, known: Told | None = None, voice: Voice = VOICE) -> tuple[int, Any]:
    editing = reply(RECORDINGS[name]["sglang"]["status"], JSON, known or told_of(name), voice)
    assert isinstance(editing, Whole)
    status, body = editing.retold(theirs(name))
    return status, json.loads(body)


def stream(known: Told, voice: Voice = VOICE) -> Events:
    editing = reply(200, STREAM, known, voice)
    assert isinstance(editing, Events)
    return editing


def streamed(name: str, known: Told | None = None, voice: Voice = VOICE) -> list[Any]:
    """The chunks that a client reads, [DONE] as None."""
    events = stream(known or told_of(name), voice)
    return chunks((events.feed(theirs(name)) + events.finish()).decode())


def chunks(text: str) -> list[Any]:
    assert text.endswith("\n\n")
    lines = [event.split("data: ", 1)[1] for event in text.split("\n\n") if event]
    return [None if line == "[DONE]" else json.loads(line) for line in lines]


def shape(value: Any) -> Any:
    """Keys in their order, and of values only what kind they are: nulls, types, and what is the same for everybody."""
    if isinstance(value, dict):
        return [(name, _fixed(name, inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def _fixed(name: str, value: Any) -> Any:
    if name in ("object", "type", "role", "system_fingerprint", "finish_reason", "stop_reason", "model", "index"):
        return value
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else shape(value)


def vllms_chunks(name: str) -> list[Any]:
    body: str = RECORDINGS[name]["vllm"]["body"]
    return chunks(body)
