"""A trainer over the stand-in: the middleware with its routes, a stream in flight, and what SGLang was told."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx

from middleware.policy import Policy
from tests.middleware.serving import PATIENCE, Served, middleware, stand_in, wait_for

NAME = "smollm2-135m"
RL = Policy(rl=True, scale_out=True)
CHAT = {"model": NAME, "messages": [{"role": "user", "content": "Hi"}]}


@contextlib.contextmanager
def trained(policy: Policy = RL, **env: str) -> Iterator[tuple[Served, Served]]:
    """The stand-in and the middleware."""
    with (
        stand_in("--served-model-name", NAME, **env) as engine,
        middleware(engine.port, policy=policy, served_model_names=(NAME,)) as front,
    ):
        yield engine, front


def orders(engine: Served, path: str = "") -> list[Any]:
    """What a trainer's orders became, the paths; or the bodies of one path."""
    found: list[Any] = engine.stats()["orders"]
    return [body for at, body in found if at == path] if path else [at for at, _ in found]


class Stream:
    """A chat of so many tokens that runs by itself."""

    def __init__(self, front: Served, tokens: int = 60, delay_ms: int = 20) -> None:
        self.lines: list[str] = []
        self.status = 0
        body = {**CHAT, "max_tokens": tokens, "stream": True}
        self._thread = threading.Thread(target=self._run, args=(f"{front.url}/v1/chat/completions", body, delay_ms))
        self._thread.start()

    def _run(self, url: str, body: dict[str, Any], delay_ms: int) -> None:
        headers = {"x-standin-delay-ms": str(delay_ms)}
        with httpx.stream("POST", url, json=body, headers=headers, timeout=PATIENCE, trust_env=False) as answer:
            self.status = answer.status_code
            self.lines.extend(line for line in answer.iter_lines() if line)

    def begun(self) -> Stream:
        wait_for(lambda: self.status, "the stream has begun")
        return self

    def end(self) -> str:
        """How it ended."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the stream never ended"
        assert self.lines[-1] == "data: [DONE]"
        events = [json.loads(line[6:]) for line in self.lines[:-1]]
        return next(str(one["finish_reason"]) for event in events for one in event["choices"] if one["finish_reason"])

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()
