"""A chat's stream as vLLM 0.33.0 tells it to Anthropic's clients, event by event (entrypoints/anthropic/serving.py).
Made by `endpoints.messages` for each streamed answer of the table of chat; it is fed what a client of chat would read.
"""

import json
from typing import Any

import msgspec

from middleware.anthropic import answer
from middleware.dialect.events import DATA, DONE, END, Events, encode

Json = dict[str, Any]


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] = []


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None
    stop_reason: int | str | None = None


class _Chunk(msgspec.Struct):
    id: str = ""
    model: str = ""
    choices: list[_Choice] = []
    usage: Json | None = None
    error: Json | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


class MessageStream(Events):
    """With `stops` the request has stop sequences: only then it matters whether a last call is whole."""

    __slots__ = (
        "_arguments",
        "_begun",
        "_called",
        "_failed",
        "_finish",
        "_ids",
        "_index",
        "_open",
        "_stop",
        "_stops",
        "_tool",
        "_waiting",
    )

    def __init__(self, *, stops: bool) -> None:
        super().__init__()
        self._stops = stops
        self._begun = self._failed = self._called = False
        self._finish: str | None = None
        self._stop: int | str | None = None
        # The block that is open, the number of it or of the next one, and the call that it is of.
        self._open: str | None = None
        self._index = 0
        self._tool: str | None = None
        # Ids of calls by their numbers, the pieces of the last one's arguments, and text that came in between.
        self._ids: dict[int, str] = {}
        self._arguments: list[str] = []
        self._waiting: list[str] = []

    def edited(self, event: bytes) -> bytes:
        if event == DONE:
            return b"" if self._failed else self._flush() + _event("message_stop")
        if not event.startswith(DATA):
            return event + END  # A comment.
        chunk = _decode(memoryview(event)[len(DATA) :])
        if chunk.error is not None:
            return self._error(chunk.error)
        if not self._begun:
            self._begun = True
            return _start(chunk)
        if not chunk.choices:
            return self._flush() + self._end(chunk)
        return self._pieces(chunk.choices[0])

    def _pieces(self, choice: _Choice) -> bytes:
        if choice.finish_reason is not None:
            self._finish, self._stop = choice.finish_reason, choice.stop_reason
        delta = choice.delta
        told = b""
        if delta.reasoning:
            told += self._in("thinking") + self._delta("thinking_delta", "thinking", delta.reasoning)
        if delta.content:
            if self._open == "tool_use":
                self._waiting.append(delta.content)
            else:
                told += self._in("text") + self._delta("text_delta", "text", delta.content)
        for call in delta.tool_calls:
            told += self._piece_of(call)
        return told

    def _piece_of(self, call: _Call) -> bytes:
        name = call.function.name if call.function else None
        arguments = call.function.arguments if call.function else None
        told = b""
        if call.id is not None:
            self._ids[call.index] = call.id
            if self._tool != call.id and name is not None:
                told = self._flush()
                self._called = True
                self._arguments = []
                told += self._begin({"type": "tool_use", "id": call.id, "name": name, "input": {}})
                self._tool = call.id
        if not arguments or self._tool is None or self._tool != self._ids.get(call.index):
            return told
        if self._stops:
            self._arguments.append(arguments)
        return told + self._delta("input_json_delta", "partial_json", arguments)

    def _in(self, kind: str) -> bytes:
        return b"" if self._open == kind else self._flush() + self._begin({"type": kind, kind: ""})

    def _begin(self, block: Json) -> bytes:
        self._open = block["type"]
        return _event("content_block_start", content_block=block, index=self._index)

    def _delta(self, kind: str, name: str, piece: str) -> bytes:
        return _event("content_block_delta", delta={"type": kind, name: piece}, index=self._index)

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        signed = self._delta("signature_delta", "signature", answer.signature()) if self._open == "thinking" else b""
        told = signed + _event("content_block_stop", index=self._index)
        self._open = self._tool = None
        self._index += 1
        return told

    def _flush(self) -> bytes:
        """Ends the block, and tells what text came while it was that of a call."""
        waiting, self._waiting = "".join(self._waiting), []
        told = self._close()
        if waiting:
            told += self._in("text") + self._delta("text_delta", "text", waiting) + self._close()
        return told

    def _end(self, chunk: _Chunk) -> bytes:
        whole = self._called and self._stops and _is_json("".join(self._arguments))
        why, sequence = answer.ending(self._finish or "stop", self._stop, called=self._called, whole=whole)
        delta = {"stop_reason": why, "stop_sequence": sequence}
        return _event("message_delta", delta=delta, usage=answer.usage(chunk.usage))

    def _error(self, given: Json) -> bytes:
        self._failed = True
        code = given.get("code")
        told = answer.error(code if isinstance(code, int) else 500, str(given.get("message")))
        return self._close() + _event("error", error=told)


def _start(chunk: _Chunk) -> bytes:
    """Of the chunk that tells the role, and how long the prompt is."""
    begun: Json = {
        "id": chunk.id,
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": chunk.model,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": answer.usage(chunk.usage),
    }
    return _event("message_start", message=begun)


def _event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind, **members}))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
