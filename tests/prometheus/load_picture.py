"""`make picture`: a real Prometheus watches a real SGLang on this CPU through the stack while 1, then 8, then 32
clients stream at once, and what it saw becomes docs/load.svg.

    python -m tests.prometheus.load_picture [--seconds 30] [--out docs/load.svg]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from pathlib import Path

from bench.bodies import CHAT
from bench.sse import Reader
from bench.streams import request
from tests.engine.conftest import LAUNCH, LOAD_SECONDS, MODEL, NAME
from tests.prometheus.load_panels import PANELS, Seen, drawn
from tests.prometheus.scraper import Prometheus, scraping
from tests.server import ROOT, serving

CLIENTS = (1, 8, 32)
SLOTS = 8  # of the engine: of 32 streams 24 wait
AFTER = 12.0  # seconds in which all becomes quiet
SUBJECTS = ("the sea", "a train", "the winter", "a library", "bread", "the moon", "a river", "an old clock")
FLAGS = ("--served-model-name", NAME, "--max-model-len", "2048", "--max-num-seqs", str(SLOTS))


def question(number: int) -> bytes:
    """Of different lengths; all begin alike, so that the cache has something to give."""
    about = f"Tell me a story of {SUBJECTS[number % len(SUBJECTS)]}, number {number}."
    messages = [
        {"role": "system", "content": "You tell stories, slowly, with many details. " * 3},
        {"role": "user", "content": about},
    ]
    body = {"model": NAME, "messages": messages, "stream": True, "max_tokens": 12 + 8 * (number % 4)}
    return request(CHAT, json.dumps({**body, "ignore_eos": True, "temperature": 0.8}).encode())


async def ramp(port: int, seconds: float) -> list[tuple[float, int]]:
    """When how many streamed at once from then on."""
    loop = asyncio.get_running_loop()
    numbers = itertools.count()
    until = loop.time() + seconds * len(CLIENTS)
    moments: list[tuple[float, int]] = []
    clients: list[asyncio.Task[None]] = []

    async def client() -> None:
        _, reader = await loop.create_connection(Reader, "127.0.0.1", port)
        while loop.time() < until:
            await reader.ask(question(next(numbers)))
            assert reader.ended_well, f"status {reader.status}"
        reader.close()

    for count in CLIENTS:
        moments.append((time.time(), count))
        clients += [asyncio.ensure_future(client()) for _ in range(count - len(clients))]
        await asyncio.sleep(seconds)
    await asyncio.gather(*clients)
    moments.append((time.time(), 0))
    await asyncio.sleep(AFTER)
    return moments


def asked(prometheus: Prometheus, moments: list[tuple[float, int]]) -> Seen:
    start, end = moments[0][0] - 2, time.time()
    return {
        line.query: [points for one in prometheus.over(line.query, start, end) if (points := one.points)]
        for panel in PANELS
        for line in panel.lines
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each step of the ramp")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/load.svg")
    options = parser.parse_args()
    env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 2304"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder, str(MODEL), *FLAGS, engine=LAUNCH, env=env) as server:
            server.wait_ready(LOAD_SECONDS)
            with scraping(f"{server.url}/metrics", folder) as prometheus:
                moments = asyncio.run(ramp(server.port, options.seconds))
                seen = asked(prometheus, moments)
    options.out.write_text(drawn(seen, moments, f"SmolLM2-135M on SGLang's CPU engine, at most {SLOTS} at once"))
    empty = [query for query, series in seen.items() if not series]
    print(f"written to {options.out}", *(f"nothing for {query}" for query in empty), sep="\n")


if __name__ == "__main__":
    main()
