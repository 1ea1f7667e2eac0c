"""THE table of /v1/messages: vLLM 0.33.0's answer to Anthropic's clients from SGLang 0.5.23's, whole and in events.
Used by `reply`; its errors, in Anthropic's envelope, are in `errors`.
"""

import secrets
from typing import Any

from middleware.dialect.events import DATA, END, Events, decode, encode
from middleware.dialect.keys import Json, Key, Source, made, rebuild, same, told_id, told_model
from middleware.dialect.scrub import scrubbed
from middleware.dialect.tools import FORCED, call_id
from middleware.dialect.voice import Voice
from middleware.fields.told import Told

_PING = b"event: ping"
_PIECES = (b"event: content_block_delta", b"event: content_block_stop", _PING)
_BLOCK = b"event: content_block_start"
_CACHED = ("cache_creation_input_tokens", "cache_read_input_tokens")


def counted(given: Source, voice: Voice) -> Json:
    """vLLM counts what was cached among the input, and tells it with --enable-prompt-tokens-details."""
    cached = given.get("cache_read_input_tokens") or 0
    usage = {name: value for name, value in given.items() if name not in _CACHED}
    if "input_tokens" in usage:
        usage["input_tokens"] += cached
        if voice.prompt_tokens_details:
            usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": cached}
    return usage


def block(given: Source) -> Json:
    """A tool's id in vLLM's form, and a signature under thoughts, which Anthropic's clients send back."""
    told = dict(given)
    if told.get("type") == "tool_use":
        told["id"] = call_id(told["id"])
    elif told.get("type") == "thinking":
        told.setdefault("signature", secrets.token_hex(16))
    return told


def _content(message: Source, told: Told, voice: Voice) -> Any:
    return [block(each) for each in message["content"]]


def _usage(message: Source, told: Told, voice: Voice) -> Any:
    return counted(message["usage"], voice)


_HEAD: tuple[Key, ...] = (
    made("id", told_id, "vLLM's is that of a chat"),
    same("type"),
    same("role"),
    made("content", _content, "ids and signatures"),
    made("model", told_model, "as the client named it"),
    same("stop_reason"),
)
WHOLE: tuple[Key, ...] = (*_HEAD, made("usage", _usage, "what was cached is counted in"))
START: tuple[Key, ...] = (*_HEAD, same("stop_sequence"), made("usage", _usage, "what was cached is counted in"))


def whole(message: Source, told: Told, voice: Voice) -> Json:
    if "input_tokens" in message:  # Of /v1/messages/count_tokens.
        count = message["input_tokens"]
        return {"input_tokens": count, "context_management": {"original_input_tokens": count}}
    answer = rebuild(WHOLE, message, told, voice)
    if message.get("stop_sequence") is not None:
        answer["stop_sequence"] = message["stop_sequence"]
    return answer


class MessageStream(Events):
    """Read are the first event, those that begin a call, and the last two; the pieces of text go on as they are.

    Where a call was asked for, vLLM's grammar ends with it: the text that SGLang lets the model add is not told.
    """

    __slots__ = ("_called", "_input", "_left_out", "_silent", "_told", "_voice")

    def __init__(self, told: Told, voice: Voice) -> None:
        super().__init__()
        self._told = told
        self._voice = voice
        self._input: Json = {}
        self._called = False
        # Whether the block that is open is left out, and how many were.
        self._silent = False
        self._left_out = 0

    def edited(self, event: bytes) -> bytes:
        if event.startswith(_PIECES):
            return self._piece(event)
        if event.startswith(_BLOCK) and b'"type":"text"' in event:
            self._silent = self._called and self._told.tool_choice in FORCED
            self._left_out += self._silent
            return b"" if self._silent else self._piece(event)
        if event.startswith(_BLOCK) and b'"tool_use"' not in event:
            return self._piece(event)
        name, marker, data = event.rpartition(DATA)
        if not marker:
            return event + END
        given = decode(data)
        kind = given.get("type")
        if kind == "message_start":
            given["message"] = rebuild(START, given["message"], self._told, self._voice)
            self._input = {key: n for key, n in given["message"]["usage"].items() if key != "output_tokens"}
        elif kind == "content_block_start":
            self._called, self._silent = True, False
            given["index"] -= self._left_out
            given["content_block"] = block(given["content_block"])
        elif kind == "message_delta":
            given["delta"].setdefault("stop_sequence", None)
            given["usage"] = self._input | counted(given["usage"], self._voice)
        elif kind == "error":
            given["error"]["message"] = scrubbed(given["error"]["message"])
        else:
            return event + END
        return name + marker + encode(given) + END

    def _piece(self, event: bytes) -> bytes:
        if self._silent and not event.startswith(_PING):
            return b""
        if not self._left_out or event.startswith(_PING):
            return event + END
        name, marker, data = event.rpartition(DATA)
        given = decode(data)
        given["index"] -= self._left_out
        return name + marker + encode(given) + END
