"""What becomes of one answer of SGLang's: read whole and told anew, edited event by event, or passed on as it comes.
Called by `middleware.proxy` when an answer's head is there.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from middleware.dialect import chat, completion, ends, errors, generated, responses, tokens_out
from middleware.dialect.chat_stream import ChatStream
from middleware.dialect.completion_stream import CompletionStream
from middleware.dialect.ends import Passing
from middleware.dialect.events import MISSHAPEN, Events, decode, encode
from middleware.dialect.keys import Json
from middleware.dialect.native import NativeStream
from middleware.dialect.responses import ResponseStream
from middleware.dialect.tokens_stream import TokensStream
from middleware.dialect.voice import Voice
from middleware.fields.told import Kind, Told
from middleware.headers import Headers, header

log = logging.getLogger("middleware.dialect")

JSON = b"application/json"
STREAM = b"text/event-stream"
# The largest answers are of many choices with the log probabilities of every token.
WHOLE_LIMIT = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Speech:
    """`marks` are keys of which only an answer of this kind has one; anything else goes on as it came."""

    marks: tuple[str, ...]
    whole: Callable[[Mapping[str, Any], Told, Voice], Json]
    stream: Callable[[Told, Voice], Events]


SPEECHES: dict[Kind, Speech] = {
    Kind.CHAT: Speech(("choices",), chat.whole, ChatStream),
    Kind.COMPLETION: Speech(("choices",), completion.whole, CompletionStream),
    Kind.RESPONSE: Speech(("output",), responses.whole, ResponseStream),
    Kind.TOKENS: Speech(("choices",), tokens_out.whole, TokensStream),
}


@dataclass(frozen=True, slots=True)
class Whole:
    """Read to its end, `limit` bytes at most, then told anew."""

    status: int
    told: Told
    voice: Voice

    @property
    def limit(self) -> int:
        return errors.LIMIT if self.status >= 400 else WHOLE_LIMIT

    def retold(self, body: bytes) -> tuple[int, bytes]:
        if self.told.ending:
            body = body.replace(self.told.ending.encode(), b"")
        if self.status >= 400:
            return errors.retold(self.status, body, self.told)
        speech = SPEECHES.get(self.told.kind)
        if speech is None:
            ends.in_bytes(body, self.told)
            return self.status, body
        try:
            answer = decode(body)
            if self.told.target and self.told.kind is Kind.COMPLETION:
                answer = generated.completion(answer, self.told, self.voice)
            elif self.told.kind is Kind.TOKENS:
                answer = tokens_out.gathered(answer, self.told)
            if isinstance(answer, dict) and any(mark in answer for mark in speech.marks):
                ends.of_answer(answer, self.told)
                return self.status, encode(speech.whole(answer, self.told, self.voice))
        except (*MISSHAPEN, msgspec.MsgspecError, RecursionError) as exc:
            log.warning("%s: an answer of SGLang's was sent on as it came: %s", self.told.rid, type(exc).__name__)
        return self.status, body


def reply(status: int, headers: Headers, told: Told, voice: Voice) -> Whole | Events | Passing | None:
    """None for what is not ours to edit; a packed answer is not."""
    if header(headers, b"content-encoding") is not None:
        return None
    if status >= 400:
        return Whole(status, told, voice)
    speech = SPEECHES.get(told.kind)
    kind = header(headers, b"content-type") or b""
    if status != 200:
        return None
    if speech is None and not told.ending:
        return Passing(told) if told.kind is Kind.NATIVE else None
    if kind.startswith(STREAM):
        return speech.stream(told, voice) if speech is not None else NativeStream(told)
    return Whole(status, told, voice) if kind.startswith(JSON) else None
