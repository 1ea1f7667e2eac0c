"""A completion stream's chunks: THE table of those that are told without being read, and what becomes of the others.
Made by `reply` for every streamed answer of /v1/completions.
"""

from collections.abc import Mapping
from typing import Any

from middleware.dialect import logprobs, tools, usage
from middleware.dialect.errors import stream_error
from middleware.dialect.events import DATA, DONE, END, Events, decode, line
from middleware.dialect.keys import Json
from middleware.dialect.shapes import Shape, Shapes
from middleware.dialect.voice import Voice
from middleware.fields.told import Told

TEXT = (
    Shape(
        b',"text":"',
        b'","logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}',
        b',"text":"',
        b'","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null,'
        b'"weight_versions":null}],"kv_transfer_params":null}' + END,
    ),
)


class CompletionStream(Events):
    __slots__ = ("_finished", "_lengths", "_shapes", "_told", "_voice")

    def __init__(self, told: Told, voice: Voice) -> None:
        super().__init__()
        self._told = told
        self._voice = voice
        self._shapes = Shapes(TEXT)
        # How much text each choice has, which the offsets of log probabilities count on.
        self._lengths: dict[int, int] = {}
        self._finished = 0

    def edited(self, event: bytes) -> bytes:
        if self._shapes.learned and (retold := self._shapes.retell(event)) is not None:
            return retold
        if event == DONE or not event.startswith(DATA):
            return event + END
        chunk = decode(event[len(DATA) :])
        if "error" in chunk:
            return stream_error(chunk["error"])
        told, voice = self._told, self._voice
        ours: Json = {
            "id": told.id or chunk["id"],
            "object": chunk["object"],
            "created": chunk["created"],
            "model": told.model or voice.model or chunk["model"],
        }
        counted = chunk.get("usage")
        if not chunk["choices"]:
            return self._last(ours, counted) if counted else b""
        if not self._shapes.learned:
            self._shapes.learn(event, line(ours)[: -len(b"}\n\n")])
        choice = chunk["choices"][0]
        ours["choices"] = [self._choice(choice)]
        if told.continuous_usage and counted:
            ours["usage"] = usage.each(counted, told, voice)
        if choice["finish_reason"] is not None:
            self._finished += 1
            if self._finished == told.choices and not told.include_usage and voice.fingerprint is not None:
                ours["system_fingerprint"] = voice.fingerprint
        ours["kv_transfer_params"] = None
        return line(ours)

    def _choice(self, choice: Mapping[str, Any]) -> Json:
        told = self._told
        index, token_ids = choice["index"], choice.get("token_ids")
        start = self._lengths.get(index)
        self._lengths[index] = (start or 0) + len(choice["text"])
        as_ids = told.tokens_as_ids or self._voice.tokens_as_ids
        return {
            "index": index,
            "text": choice["text"],
            "logprobs": logprobs.completion(
                choice.get("logprobs"),
                start=start or 0,
                whole_text=start is None,
                token_ids=token_ids if as_ids else None,
            ),
            "finish_reason": choice["finish_reason"],
            "stop_reason": tools.stop_reason(choice.get("matched_stop"), told),
            "prompt_token_ids": choice.get("prompt_token_ids") if told.return_token_ids or told.echo else None,
            "token_ids": token_ids if told.return_token_ids else None,
            "weight_versions": None,
        }

    def _last(self, ours: Json, counted: Mapping[str, Any]) -> bytes:
        ours |= {"choices": [], "usage": usage.last(counted, self._told, self._voice)}
        if self._voice.fingerprint is not None:
            ours["system_fingerprint"] = self._voice.fingerprint
        return line(ours)
