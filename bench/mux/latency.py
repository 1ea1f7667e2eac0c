"""What a mux adds to a small request for a model that is awake, at 1, 16 and 64 connections: by wrk, beside direct.
Run by `bench.mux.__main__`, over an engine that is never the bottleneck, each side on a core of its own.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.bodies import CHAT, chat, prompt
from bench.load import Load, load
from bench.mux.contenders import MODELS, Front
from bench.running import Failed

CONNECTIONS = (1, 16, 64)
BYTES = 1_300


async def measured(front: Front, folder: Path, rounds: int, seconds: int) -> list[dict[str, float]]:
    """Of each round: direct's p50, and what is added, in ms."""
    body = folder / "body.json"
    body.write_bytes(chat(prompt(BYTES - 250), model=MODELS[1]))
    found = []
    for _ in range(rounds):
        figures: dict[str, float] = {}
        for connections in CONNECTIONS:
            direct = await _loaded(front.engines[1], body, connections, seconds)
            through = await _loaded(front.port, body, connections, seconds)
            figures[f"direct{connections}_ms"] = direct.p50_ms
            figures[f"added{connections}_ms"] = through.p50_ms - direct.p50_ms
            figures[f"rps{connections}"] = through.requests / through.seconds
        found.append(figures)
    return found


async def _loaded(port: int, body: Path, connections: int, seconds: int) -> Load:
    done = await asyncio.to_thread(load, port, CHAT, body, connections=connections, seconds=seconds)
    if done.errors:
        raise Failed(f"{done.errors} of {done.requests} requests at {connections} connections went wrong")
    return done
