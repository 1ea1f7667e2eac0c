"""A completion stream's chunks: THE table of those that are told without being read, and what becomes of the others.
Made by `reply` for every streamed answer of /v1/completions.
"""

from collections.abc import Mapping
from typing import Any

from middleware.dialect import logprobs, tools, usage
from middleware.dialect.completion import text
from middleware.dialect.errors import stream_error
from middleware.dialect.events import DATA, DONE, END, Events, decode, line
from middleware.dialect.generated import Pieces
from middleware.dialect.keys import Json
from middleware.dialect.shapes import Shape, Shapes
from middleware.dialect.voice import Voice
from middleware.fields.told import Told, failure

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
    __slots__ = ("_pieces", "_scores", "_shapes", "_told", "_voice")

    def __init__(self, told: Told, voice: Voice) -> None:
        super().__init__()
        self._told = told
        self._voice = voice
        self._shapes = Shapes(TEXT)
        # Of the choices that have begun, the telling of their log probabilities.
        self._scores: dict[int, logprobs.Completion] = {}
        self._pieces = Pieces(told, voice) if told.target else None

    def edited(self, event: bytes) -> bytes:
        if (retold := self._shapes.retell(event)) is not None:
            return retold
        told, pieces = self._told, self._pieces
        if event == DONE and pieces is not None and told.include_usage:
            return self._chunk(pieces.last(), b"") + event + END
        if event == DONE or not event.startswith(DATA):
            return event + END
        chunk = decode(event[len(DATA) :])
        if "error" in chunk:
            told.ends.append(failure(chunk["error"]))
            return stream_error(chunk["error"])
        if pieces is not None:
            if (broken := pieces.failure(chunk)) is None:
                return self._chunk(pieces.chunk(chunk), b"")
            told.ends.append(failure(broken))
            return stream_error(broken)
        return self._chunk(chunk, event)

    def _chunk(self, chunk: Mapping[str, Any], event: bytes) -> bytes:
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
        if choice["finish_reason"] is not None and not told.include_usage and voice.fingerprint is not None:
            ours["system_fingerprint"] = voice.fingerprint
        ours["kv_transfer_params"] = None
        return line(ours)

    def _choice(self, choice: Mapping[str, Any]) -> Json:
        told = self._told
        index, given = choice["index"], choice["text"]
        if choice["finish_reason"] is not None:
            told.ends.append(choice["finish_reason"])
        scores = self._scores.get(index)
        first = scores is None
        if scores is None:
            scores = self._scores[index] = logprobs.Completion(told)
        return {
            "index": index,
            "text": text(index, given, told) if first else given,
            "logprobs": scores.told(choice.get("logprobs"), given),
            "finish_reason": choice["finish_reason"],
            "stop_reason": tools.stop_reason(choice.get("matched_stop"), told),
            "prompt_token_ids": choice.get("prompt_token_ids") if told.return_token_ids or told.echo else None,
            "token_ids": choice.get("token_ids") if told.return_token_ids else None,
            "weight_versions": choice.get("weight_versions") if told.return_weight_versions else None,
        }

    def _last(self, ours: Json, counted: Mapping[str, Any]) -> bytes:
        self._told.prompt_tokens = counted["prompt_tokens"] // self._told.prompts
        ours |= {"choices": [], "usage": usage.last(counted, self._told, self._voice)}
        if self._voice.fingerprint is not None:
            ours["system_fingerprint"] = self._voice.fingerprint
        return line(ours)
