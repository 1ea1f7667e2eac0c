"""One request on a connection of its own, and what came of it: also none, or nothing in time.
Used by the scenarios, which name the model and how many tokens they want.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bench.bodies import CHAT, chat
from bench.sse import Reader

PATIENCE = 15.0
REFUSED, SILENT, BROKEN = "refused", "no answer", "broken off"
OK = "200"


@dataclass(frozen=True, slots=True)
class Answer:
    """`outcome` is the status, or why there is none; `at` is when it ended, `first` the seconds to the body's first
    byte, and `pieces` how many reads it came in."""

    model: str
    outcome: str
    seconds: float
    at: float
    first: float = 0.0
    pieces: int = 0

    @property
    def is_right(self) -> bool:
        return self.outcome == OK


def request(model: str, tokens: int, *, stream: bool) -> bytes:
    body = chat("hello", model=model, max_tokens=tokens, stream=stream)
    lines = (f"POST {CHAT} HTTP/1.1", "Host: bench", "Content-Type: application/json", f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode() + body


async def ask(port: int, model: str, tokens: int = 1, *, stream: bool = False, patience: float = PATIENCE) -> Answer:
    begun = time.monotonic()

    def answer(outcome: str, first: float = 0.0, pieces: int = 0) -> Answer:
        return Answer(model, outcome, time.monotonic() - begun, time.time(), first, pieces)

    try:
        async with _asked(port, request(model, tokens, stream=stream)) as (reader, ended):
            await asyncio.wait_for(ended, patience)
            if not (reader.ended_well if stream and reader.status == 200 else reader.complete):
                return answer(BROKEN)
            first = reader.ttft if reader.arrivals else 0.0
            return answer(str(reader.status), first, len(reader.arrivals))
    except TimeoutError:
        return answer(SILENT)
    except OSError:
        return answer(REFUSED)


@contextlib.asynccontextmanager
async def leaving(port: int, model: str) -> AsyncIterator[None]:
    """A client that asks, and is gone with its connection at the end of the block."""
    async with _asked(port, request(model, 1, stream=False)):
        yield


@contextlib.asynccontextmanager
async def _asked(port: int, content: bytes) -> AsyncIterator[tuple[Reader, asyncio.Future[None]]]:
    _, reader = await asyncio.get_running_loop().create_connection(Reader, "127.0.0.1", port)
    try:
        yield reader, reader.ask(content)
    finally:
        reader.close()
