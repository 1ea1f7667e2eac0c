"""A stream of token ids: what is new in each event of SGLang's /generate, as vLLM 0.33.0 tells it.
Made by `reply` for every streamed answer of /inference/v1/generate.
"""

from typing import Any

import msgspec

from middleware.dialect.errors import stream_error
from middleware.dialect.events import DATA, DONE, END, Events, decode, line
from middleware.dialect.experts import experts
from middleware.dialect.generated import counted
from middleware.dialect.keys import Json
from middleware.dialect.tokens_out import ended, mode, scored
from middleware.dialect.usage import last as last_usage
from middleware.dialect.voice import Voice
from middleware.fields.told import Told, failure

ERROR = b'{"error":'


class _Info(msgspec.Struct):
    """Of an event's `meta_info` what is read; the rest costs nothing."""

    finish_reason: dict[str, Any] | None
    completion_tokens: int
    prompt_tokens: int | None = None  # nothing of one that was aborted before it ran
    cached_tokens: int | None = None
    output_token_logprobs: list[Any] | None = None
    output_top_logprobs: list[Any] | None = None
    weight_versions: Any = None
    routed_experts: str | None = None


class _Event(msgspec.Struct):
    meta_info: _Info
    output_ids: list[int]
    text: str | None = None
    index: int = 0


class _Choice(msgspec.Struct):
    """How much of it has been told."""

    ids: int = 0
    text: int = 0
    info: _Info | None = None


_EVENT = msgspec.json.Decoder(_Event)


class TokensStream(Events):
    __slots__ = ("_choices", "_first", "_told", "_voice")

    def __init__(self, told: Told, voice: Voice) -> None:
        super().__init__()
        self._told = told
        self._voice = voice
        self._first = True
        self._choices: dict[int, _Choice] = {}

    def edited(self, event: bytes) -> bytes:
        if event == DONE:
            return (self._usage() if self._told.include_usage else b"") + event + END
        if not event.startswith(DATA):
            return event + END
        body = event[len(DATA) :]
        if body.startswith(ERROR):
            return self._error(decode(body)["error"])
        told = _EVENT.decode(body)
        reason = told.meta_info.finish_reason
        if reason is not None and reason.get("type") == "abort" and isinstance(reason.get("status_code"), int):
            # Of time or memory, which is an error in vLLM.
            return self._error({"message": reason.get("message"), "code": reason["status_code"]})
        return self._chunk(told)

    def _error(self, error: Any) -> bytes:
        self._told.ends.append(failure(error))
        return stream_error(error)

    def _chunk(self, event: _Event) -> bytes:
        told, info = self._told, event.meta_info
        known = self._choices.setdefault(event.index, _Choice())
        ids, chosen, ranked = event.output_ids, info.output_token_logprobs or [], info.output_top_logprobs or []
        pieces = self._are_pieces(event, known)
        start = 0 if pieces else known.ids
        end = len(ids)
        if told.logprobs is not None and info.finish_reason is None:
            # SGLang 0.5.23 tells lists that grow while it writes them: a token is told when its probability is there.
            end = min(end, len(chosen))
        fresh = ids[start:end]
        text = (event.text or "")[0 if pieces else known.text :] if told.tokens.text else ""
        known.ids += len(fresh)
        known.text += len(text)
        known.info = info
        if not fresh and not text and info.finish_reason is None:
            return b""
        ends: Json = {"finish_reason": None, "stop_reason": None}
        if info.finish_reason is not None:
            ends = ended(msgspec.structs.asdict(info), told)
            told.ends.append(ends["finish_reason"])
        choice: Json = {"index": event.index, **ends, "token_ids": fresh}
        choice["routed_experts"] = experts(msgspec.structs.asdict(info), told) if info.routed_experts else None
        choice["sampling_mask"] = None
        choice["weight_versions"] = info.weight_versions if info.finish_reason is not None else None
        if told.tokens.text:
            choice["text"] = text
        wanted = told.logprobs
        choice["logprobs"] = None if wanted is None else scored(fresh, chosen[start:end], ranked[start:end], wanted)
        return line(self._head(self._so_far(info, known)) | {"choices": [choice]})

    @staticmethod
    def _are_pieces(event: _Event, known: _Choice) -> bool:
        """SGLang tells all of a choice with each token, or with --incremental-streaming-output what is new."""
        made = event.meta_info.completion_tokens
        return bool(known.ids) and len(event.output_ids) < made and known.ids + len(event.output_ids) == made

    def _so_far(self, info: _Info, known: _Choice) -> Json | None:
        """Of this choice alone, as in vLLM."""
        if not self._told.continuous_usage:
            return None
        prompt, made = info.prompt_tokens or self._told.prompt_tokens or 0, known.ids
        counts = {"prompt_tokens": prompt, "total_tokens": prompt + made, "completion_tokens": made}
        return {**counts, "prompt_tokens_details": None, "completion_tokens_details": None}

    def _head(self, usage: Json | None) -> Json:
        told = self._told
        head: Json = {"request_id": told.id, "usage": usage}
        if self._first and told.return_token_ids:
            head["prompt_token_ids"] = told.tokens.prompt
        self._first = False
        return head | {"output_mode": mode(told)}

    def _usage(self) -> bytes:
        infos = [msgspec.structs.asdict(known.info) for known in self._choices.values() if known.info is not None]
        usage = last_usage(counted(infos, self._told), self._told, self._voice) if infos else None
        return line(self._head(usage) | {"choices": []})
