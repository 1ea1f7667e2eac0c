"""Rollouts as trainers ask for them: token ids in, token ids and their log probabilities out, whole or not at all.
Used by the rehearsals; what prime-rl's clients would refuse is refused here.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

PATH = "/inference/v1/generate"
NO_NUMBER = -9999.0  # vLLM's, where there is no log probability
ATTEMPTS = 10
WAIT = 2.0
LIMITS = httpx.Timeout(600.0, connect=10.0)


class Malformed(Exception):
    """An answer that no training can use."""


@dataclass(frozen=True, slots=True)
class Rollout:
    ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: str
    versions: tuple[str, ...]  # of the weights that made it, in their order
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Stream:
    text: str
    finish: str
    done: bool


class Rollouts:
    """rollouts = Rollouts(client, "model")
    rollout = await rollouts.ask(ids, tokens=16, version="step_1")
    """

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model

    async def ask(self, ids: Sequence[int], *, tokens: int, version: str, least: int = 0) -> Rollout:
        """Greedy. A server's fault and a lost connection are asked again, as a run of hours needs it."""
        sampling = {"temperature": 0.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "max_tokens": tokens, "logprobs": 1}
        # What renderers sends along: nobody reads `return_token_ids` in there.
        sampling |= {"min_tokens": least, "skip_special_tokens": False, "return_token_ids": True}
        body = {"model": self._model, "token_ids": list(ids), "sampling_params": sampling, "cache_salt": version}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = await self._client.post(PATH, json=body, timeout=LIMITS)
            except httpx.TransportError:
                if attempt == ATTEMPTS:
                    raise
            else:
                if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR or attempt == ATTEMPTS:
                    return read(answer.raise_for_status().json(), attempt)
            await asyncio.sleep(WAIT * attempt)
        raise AssertionError("the last attempt has returned or raised")

    async def stream(self, content: str, begun: asyncio.Event, *, tokens: int) -> Stream:
        """A streamed chat, as an evaluation asks for it beside the training; `begun` is set by its first words."""
        messages = [{"role": "user", "content": content}]
        body = {"model": self._model, "messages": messages, "max_tokens": tokens, "temperature": 0}
        pieces, finish, done = [], "", False
        asked = {**body, "stream": True, "ignore_eos": True}
        async with self._client.stream("POST", "/v1/chat/completions", json=asked, timeout=LIMITS) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                data = line.removeprefix("data: ")
                done |= data == "[DONE]"
                if line.startswith("data: {"):
                    chunk = json.loads(data)
                    if "error" in chunk:
                        raise Malformed(data)
                    for choice in chunk["choices"]:
                        pieces.append(choice["delta"].get("content") or "")
                        if pieces[-1]:
                            begun.set()
                        finish = choice["finish_reason"] or finish
        return Stream("".join(pieces), finish, done)


def read(answer: dict[str, Any], attempts: int = 1) -> Rollout:
    """As strict as prime-rl's renderers 0.1.12."""
    [choice] = answer["choices"]
    ids, told = choice["token_ids"], choice["logprobs"]["content"]
    if len(ids) != len(told):
        raise Malformed(f"{len(ids)} ids and {len(told)} log probabilities")
    for token, entry in zip(ids, told, strict=True):
        value = entry["logprob"]
        if entry["token"] != f"token_id:{token}":
            raise Malformed(f"{entry['token']} beside the id {token}")
        if value == NO_NUMBER or not math.isfinite(value):
            raise Malformed(f"a log probability of {value}")
    versions = tuple(span["version"] for span in choice.get("weight_versions") or ())
    return Rollout(tuple(ids), tuple(entry["logprob"] for entry in told), choice["finish_reason"], versions, attempts)
