"""What the stand-in has beside its connections: the clocks of its decode steps, request ids, SGLang's control answers.
Used by `bench.standin`.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Protocol

from bench.ranks import metrics
from bench.recorded import Recorded

COMMON = b"date: Sat, 21 Nov 2026 07:56:06 GMT\r\nserver: uvicorn\r\n"
MODELS = ("/v1/models",)
INFO = ("/model_info", "/get_model_info", "/server_info", "/get_server_info")
RANKS = "/_ranks/"  # behind it their number; the answer is the text that /metrics is from now on
METRICS = b"text/plain; version=1.0.0; charset=utf-8"
# It has no memory to give back; a multiplexer's orders are answered all the same.
ORDERS = (
    "/pause_generation",
    "/continue_generation",
    "/release_memory_occupation",
    "/resume_memory_occupation",
    "/update_weights_from_disk",
)
HEALTH = ("/health", "/health_generate", "/ready")


class Steps(Protocol):
    def step(self) -> bool:
        """One token; whether there are more to come."""


def plain(body: bytes, content_type: bytes = b"application/json", status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\ncontent-type: %b\r\nvary: Origin\r\n\r\n"
    return head % (status, COMMON, len(body), content_type) + body


UNKNOWN = plain(b'{"detail":"Not Found"}', status=b"404 Not Found")


class Clock:
    """The decode steps of one pace; it stands still while nothing streams."""

    def __init__(self, pace: float) -> None:
        self._pace = pace
        self._streams: set[Steps] = set()
        self._next = 0.0

    def add(self, stream: Steps) -> None:
        loop = asyncio.get_running_loop()
        if not self._streams:
            self._next = loop.time() + self._pace
            loop.call_at(self._next, self._tick)
        self._streams.add(stream)

    def _tick(self) -> None:
        self._streams = {stream for stream in self._streams if stream.step()}
        if self._streams:
            # Steps that were missed are not made up for: no token comes in less than the pace.
            self._next = max(self._next, asyncio.get_running_loop().time() - self._pace) + self._pace
            asyncio.get_running_loop().call_at(self._next, self._tick)


class Engine:
    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self._clocks: dict[float, Clock] = {}
        self._numbers = itertools.count()
        self.controls = {
            **dict.fromkeys(HEALTH, plain(b"")),
            **dict.fromkeys(MODELS, plain(recorded.models)),
            **dict.fromkeys(ORDERS, plain(b"null")),
            **dict.fromkeys(INFO, plain(recorded.model_info)),
        }
        self._ranked: dict[int, bytes] = {}
        self.behave(1)

    def behave(self, ranks: int) -> bytes:
        """As an engine of so many data-parallel ranks, as long as nothing else is asked for."""
        if ranks not in self._ranked:
            self._ranked[ranks] = plain(metrics(self.recorded.model, ranks), METRICS)
        self.controls["/metrics"] = self._ranked[ranks]
        return self._ranked[ranks]

    def control(self, path: str) -> bytes:
        if path.startswith(RANKS):
            return self.behave(int(path.removeprefix(RANKS)))
        return self.controls.get(path, UNKNOWN)

    def clock(self, pace: float) -> Clock:
        return self._clocks.setdefault(pace, Clock(pace))

    def fresh_rid(self) -> bytes:
        return b"%032x" % next(self._numbers)
