"""What is asked, and what came of it: a whole answer of this very request, one clear error, a cut, or something wrong.
`load` asks, `verdict` judges what may have come of it when.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.chaos import named_events
from tests.chaos.wire import Answer
from tests.fakes.trouble import token

MODEL = "stand-in"
DONE = "[DONE]"


class End(StrEnum):
    WHOLE = "whole"
    ERROR = "an error"
    STREAM_ERROR = "an error event"
    REFUSED = "connection refused"
    CUT_BEFORE = "cut before the head"
    CUT_AMID = "cut in the middle"
    LATE = "no end in a minute"
    WRONG = "wrong"


CHAT, COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/completions", "/v1/models"
MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
# Of the engine, for one request: in a stream, and anywhere.
IN_STREAMS = ("cut-after={}", "close-after={}", "half-after={}", "garbage-after={}", "stall=1.5", "trickle")
ANYWHERE = ("drop", "truncate", "garbage", "half-head", "status=500", "status=400")
HARMLESS = ("", "trickle", "stall=1.5")


HI: list[dict[str, str]] = [{"role": "user", "content": "hi"}]
PROMPTS: dict[str, dict[str, Any]] = {
    CHAT: {"messages": HI}, COMPLETIONS: {"prompt": "hi"}, MESSAGES: {"messages": HI}, RESPONSES: {"input": "hi"},
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    uid: str
    path: str
    stream: bool = False
    tokens: int = 0
    delay_ms: int = 0
    fault: str = ""

    def __str__(self) -> str:
        return f"{self.uid} {self.path}{' stream' * self.stream} {self.tokens} tokens {self.fault}".rstrip()

    def request(self) -> bytes:
        lines = ["host: chaos", f"x-request-id: {self.uid}"]
        if self.path == MODELS:
            return "\r\n".join([f"GET {self.path} HTTP/1.1", *lines, "", ""]).encode()
        limit = "max_output_tokens" if self.path == RESPONSES else "max_tokens"
        said = json.dumps({"model": MODEL, "stream": self.stream, limit: self.tokens, **PROMPTS[self.path]})
        lines += [f"x-standin-mark: {self.uid}", f"x-standin-delay-ms: {self.delay_ms}"]
        lines += [f"x-standin: {self.fault}"] * bool(self.fault)
        lines += ["content-type: application/json", f"content-length: {len(said)}"]
        return "\r\n".join([f"POST {self.path} HTTP/1.1", *lines, "", said]).encode()

    @property
    def text(self) -> str:
        return "".join(token(self.uid, number) for number in range(self.tokens))


def draw(rng: random.Random, uid: str) -> Question:
    path = rng.choices((CHAT, COMPLETIONS, MODELS, MESSAGES, RESPONSES), (6, 2, 2, 1, 1))[0]
    if path == MODELS:
        return Question(uid, path)
    stream = rng.random() < 0.65
    fault = ""
    if rng.random() < 0.15:
        fault = rng.choice((*IN_STREAMS, *ANYWHERE) if stream else ANYWHERE).format(rng.randrange(6))
    return Question(uid, path, stream, rng.choice((1, 8, 20, 60)), rng.choice((0, 5, 30)), fault)


def ended(question: Question, answer: Answer) -> tuple[End, str]:
    """How it ended, and what there is to say of it."""
    if answer.odd:
        return End.WRONG, answer.odd
    if not answer.status:
        return End.CUT_BEFORE, ""
    # A stream that was cut behind its [DONE] looks whole, so it must be.
    if not answer.whole and not (_is_stream(answer) and f"data: {DONE}".encode() in answer.body):
        return End.CUT_AMID, f"{bytes(answer.body[-80:])!r}"
    try:
        if answer.status >= 400:
            fault = _shape(answer.body)
            return (End.WRONG, fault) if fault else (End.ERROR, f"{answer.status} {_message(answer.body)}")
        return _stream(question, answer) if question.stream else _piece(question, answer)
    except (ValueError, LookupError, TypeError) as fault:
        return End.WRONG, f"status {answer.status}, {fault!r}: {bytes(answer.body[-300:])!r}"


def _is_stream(answer: Answer) -> bool:
    return answer.headers.get("content-type", "").startswith("text/event-stream")


def _piece(question: Question, answer: Answer) -> tuple[End, str]:
    said = json.loads(answer.body)
    if question.path == MODELS:
        return (End.WHOLE, "") if said["data"][0]["id"] == MODEL else (End.WRONG, str(said))
    if question.path == MESSAGES:
        return _compared(question, said["content"][0]["text"], {said["id"]})
    if question.path == RESPONSES:  # its ids are its own
        return _compared(question, said["output"][0]["content"][0]["text"], set())
    choice = said["choices"][0]
    text = choice["text"] if question.path == COMPLETIONS else choice["message"]["content"]
    return _compared(question, text, {said["id"]})


def _stream(question: Question, answer: Answer) -> tuple[End, str]:
    if not _is_stream(answer):
        return End.WRONG, f"no stream: {answer.headers}"
    body = answer.body.decode()
    if not body.endswith("\n\n"):
        return End.WRONG, f"the last event is half: {body[-100:]!r}"
    if question.path in (MESSAGES, RESPONSES):
        named = named_events.told(body)
        if named.whole and not named.odd:
            return _compared(question, named.text, set())
        good = named.message and not named.odd and question.text.startswith(named.text)
        return (End.STREAM_ERROR, named.message) if good else (End.WRONG, f"{named.odd} {named.text[-100:]!r}")
    events = [event.removeprefix("data: ") for event in body.split("\n\n") if event.strip()]
    if events[-1:] != [DONE] or DONE in events[:-1]:
        return End.WRONG, f"does not end with one [DONE]: {events[-2:]}"
    # Of an event that came in half nothing can be read; it must stand before the error and nowhere else.
    if '"error"' in events[-2]:
        fault = _shape(events[-2].encode())
        readable = events[:-2] if len(events) < 3 or _is_json(events[-3]) else events[:-3]
        text, ids = _told(readable)
        if fault or not question.text.startswith(text) or not _ours(question, ids):
            return End.WRONG, fault or f"not of this request: {text[-100:]!r} {ids}"
        return End.STREAM_ERROR, _message(events[-2])
    text, ids = _told(events[:-1])
    return _compared(question, text, ids)


def _told(events: list[str]) -> tuple[str, set[str]]:
    pieces = [json.loads(event) for event in events]
    texts = [p["choices"][0].get("text", p["choices"][0].get("delta", {}).get("content")) or "" for p in pieces]
    return "".join(texts), {piece["id"] for piece in pieces}


def _compared(question: Question, text: str, ids: set[str]) -> tuple[End, str]:
    if text != question.text:
        return End.WRONG, f"{len(text)} characters of {len(question.text)}: ...{text[-100:]!r}"
    return (End.WHOLE, "") if _ours(question, ids) else (End.WRONG, f"ids {ids}")


def _ours(question: Question, ids: set[str]) -> bool:
    return len(ids) <= 1 and all(question.uid in each for each in ids)


def _is_json(event: str) -> bool:
    try:
        json.loads(event)
    except ValueError:
        return False
    return True


def _message(body: bytes | bytearray | str) -> str:
    return str(json.loads(body)["error"]["message"])


def _shape(body: bytes | bytearray) -> str:
    """Empty if it is an error of vLLM's shape, or of Anthropic's."""
    try:
        said = json.loads(body)
        error = said["error"]
        keys = {"type"} if said.get("type") == "error" else {"type", "param", "code"}
        good = isinstance(error["message"], str) and error["message"] and keys <= set(error)
    except (ValueError, LookupError, TypeError):
        good = False
    return "" if good else f"no error of vLLM's shape: {bytes(body[:200])!r}"
