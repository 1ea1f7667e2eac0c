"""What SGLang's /generate answers to a completion, as its own /v1/completions would: told on from there by the tables.
Walked where `preparation.generated` has sent a completion there; `completion_stream` reads the chunks.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from middleware.dialect.keys import Json
from middleware.dialect.logprobs import TOKEN_ID
from middleware.dialect.prompt_logprobs import of_prompt
from middleware.dialect.voice import Voice
from middleware.fields.told import Told

# Of a token: its log probability, its id, its text.
Triple = Sequence[Any]
OBJECT = "text_completion"


def head(told: Told) -> Json:
    return {"id": told.id, "object": OBJECT, "created": int(time.time()), "model": ""}


def completion(answer: Any, told: Told, voice: Voice) -> Json:
    items = answer if isinstance(answer, list) else [answer]
    choices = [_choice(place, item, told, voice) for place, item in enumerate(items)]
    return {**head(told), "choices": choices, "usage": counted([item["meta_info"] for item in items], told)}


def counted(infos: Sequence[Mapping[str, Any]], told: Told) -> Json:
    """Of all choices; a prompt counts once, whatever is made of it."""
    # One that was aborted before SGLang 0.5.23 ran it does not say how long its prompt is.
    prompt = sum(info.get("prompt_tokens") or told.prompt_tokens or 0 for info in infos[:: told.n])
    made = sum(info["completion_tokens"] for info in infos)
    cached = sum(info.get("cached_tokens") or 0 for info in infos[:: told.n])
    usage: Json = {"prompt_tokens": prompt, "total_tokens": prompt + made, "completion_tokens": made}
    return {**usage, "prompt_tokens_details": {"cached_tokens": cached}}


def _choice(place: int, item: Mapping[str, Any], told: Told, voice: Voice) -> Json:
    info = item["meta_info"]
    return {
        "index": place,
        "text": echo(place, told) + item["text"],
        "logprobs": logprobs(info, told, voice, prompt=True),
        **_end(info),
        "token_ids": item["output_ids"],
        "prompt_logprobs": None if told.prompt_logprobs is None else of_prompt(info, told.prompt_logprobs),
        "prompt_token_ids": item.get("prompt_token_ids"),
        "weight_versions": info.get("weight_versions"),
    }


def echo(place: int, told: Told) -> str:
    return told.echoed[place // told.n] if told.echoed else ""


def _end(info: Mapping[str, Any]) -> Json:
    reason = info["finish_reason"] or {}
    return {"finish_reason": reason.get("type"), "matched_stop": reason.get("matched")}


def logprobs(info: Mapping[str, Any], told: Told, voice: Voice, *, prompt: bool, start: int = 0) -> Json | None:
    """Of the prompt, if it is echoed, and of what was made from `start` on."""
    if told.logprobs is None:
        return None
    as_ids = told.tokens_as_ids or voice.tokens_as_ids
    chosen: list[Triple] = []
    ranked: list[Iterable[Triple] | None] = []
    if prompt and told.echo:
        chosen += info.get("input_token_logprobs") or ()
        ranked += info.get("input_top_logprobs") or ()
    ranked += [None] * (len(chosen) - len(ranked))
    chosen += (info.get("output_token_logprobs") or ())[start:]
    ranked += (info.get("output_top_logprobs") or ())[start:]
    return {
        "tokens": [_name(triple, as_ids=as_ids) for triple in chosen],
        "token_logprobs": [triple[0] for triple in chosen],
        "top_logprobs": [row and {_name(triple, as_ids=as_ids): triple[0] for triple in row} for row in ranked],
    }


def _name(triple: Triple, *, as_ids: bool) -> str:
    return f"{TOKEN_ID}{triple[1]}" if as_ids else triple[2]


class Pieces:
    """pieces = Pieces(told, voice)
    chunk = pieces.chunk(event)    # of what is new; SGLang tells all of a choice again with each token
    usage = pieces.usage()
    """

    __slots__ = ("_head", "_infos", "_known", "_told", "_voice")

    def __init__(self, told: Told, voice: Voice) -> None:
        self._told = told
        self._voice = voice
        self._head = head(told)
        self._infos: dict[int, Mapping[str, Any]] = {}
        # How much there was already of each choice: characters, ids, log probabilities.
        self._known: dict[int, tuple[int, int, int]] = {}

    def chunk(self, event: Mapping[str, Any]) -> Json:
        told, info = self._told, event["meta_info"]
        index = event.get("index", 0)
        first = index not in self._infos
        text, ids, scored = event["text"], event["output_ids"], info.get("output_token_logprobs") or ()
        said, known, told_of = self._known.get(index, (0, 0, 0))
        self._infos[index], self._known[index] = info, (len(text), len(ids), len(scored))
        choice = {
            "index": index,
            "text": (echo(index, told) if first else "") + text[said:],
            "logprobs": logprobs(info, told, self._voice, prompt=first, start=told_of),
            **_end(info),
            "token_ids": ids[known:],
            "prompt_token_ids": event.get("prompt_token_ids") if first else None,
            "weight_versions": info.get("weight_versions") if info["finish_reason"] else None,
        }
        return {**self._head, "choices": [choice], "usage": counted([info], told)}

    @staticmethod
    def failure(event: Mapping[str, Any]) -> Json | None:
        """An end that is an error: of time or memory, which SGLang's own routes tell as one."""
        reason = event["meta_info"]["finish_reason"] or {}
        code = reason.get("status_code") if reason.get("type") == "abort" else None
        return {"message": reason.get("message"), "code": code} if isinstance(code, int) else None

    def last(self) -> Json:
        infos = [self._infos[index] for index in sorted(self._infos)]
        return {**self._head, "choices": [], "usage": counted(infos, self._told)}
