"""Many streams at once, and large requests beside them: asks for them, checks that each came whole, and prints what it
saw as JSON. A process of its own, because nothing else may hold up its clock.

    python -m bench.streams '{"port": 8000, "streams": 64, "tokens": 200, "pace_ms": 20}'
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import uvloop

from bench.bodies import CHAT, streamed
from bench.cpu import cpu_seconds
from bench.large import Sent, send_in_turn
from bench.quantiles import quantile
from bench.sse import Reader

PATIENCE = 60.0  # seconds beyond the time that the streams take
MINUS = -1.0


@dataclass
class Asked:
    port: int
    streams: int
    tokens: int
    pace_ms: float
    repeats: int = 1
    pids: list[int] = field(default_factory=list)
    large: str = ""  # a file with the body of the large requests
    large_path: str = CHAT
    large_count: int = 0
    steady: bool = False  # events and CPU count from when all streams have begun: what a chunk costs, and no request
    series: bool = False  # the arrivals of the first stream, in seconds
    body: str = ""  # of the streams' requests, in place of ours; then nothing is known of their length


@dataclass
class Seen:
    whole: int = 0
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    events: int = 0
    reads: int = 0
    ttft_ms: list[float] = field(default_factory=list)
    gap_p50_ms: float = MINUS
    gap_p99_ms: float = MINUS
    gap_max_ms: float = MINUS
    cpu: list[float] = field(default_factory=list)
    stalls_ms: list[float] = field(default_factory=list)  # the longest gap while a large request was answered
    calm_ms: list[float] = field(default_factory=list)  # and in as long a time without one
    large_ms: list[float] = field(default_factory=list)
    series: list[float] = field(default_factory=list)


def request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def run(asked: Asked, large: bytes) -> Seen:
    loop = asyncio.get_running_loop()
    seen = Seen()
    body = asked.body.encode() or streamed(asked.tokens, asked.pace_ms)
    question = request(CHAT, body)
    readers = [(await loop.create_connection(Reader, "127.0.0.1", asked.port))[1] for _ in range(asked.streams)]
    gaps: list[tuple[float, float]] = []  # when it ended, and how long it was
    limit = PATIENCE + asked.tokens * asked.pace_ms / 1000
    sent: list[Sent] = []
    thread: threading.Thread | None = None
    if large:
        every = asked.tokens * asked.pace_ms / 1000 / (asked.large_count + 1)
        words = (asked.port, request(asked.large_path, large), asked.large_count, every, sent)
        thread = threading.Thread(target=send_in_turn, args=words)
    before = [cpu_seconds([pid]) for pid in asked.pids]
    started = time.perf_counter()
    for _ in range(asked.repeats):
        ended = [reader.ask(question) for reader in readers]
        if thread is not None:
            thread.start()
        if asked.steady:
            await asyncio.wait([reader.begun for reader in readers], timeout=limit)
            seen.events -= sum(reader.events for reader in readers)
            before = [cpu_seconds([pid]) for pid in asked.pids]
        await asyncio.wait(ended, timeout=limit)
        for reader in readers:
            _note(reader, asked, seen)
            times = reader.arrivals
            gaps += [(now, now - last) for last, now in pairwise(times)]
    seen.seconds = time.perf_counter() - started
    seen.cpu = [cpu_seconds([pid]) - start for pid, start in zip(asked.pids, before, strict=True)]
    for reader in readers:
        reader.close()
    if thread is not None:
        await asyncio.to_thread(thread.join)
    _sum_up(asked, seen, gaps, sent)
    if asked.series:
        first = readers[0]
        seen.series = [round(now - first.asked, 5) for now in first.arrivals]
    return seen


def _note(reader: Reader, asked: Asked, seen: Seen) -> None:
    if reader.arrivals:
        seen.ttft_ms.append(reader.ttft * 1000)
    if reader.ended_well and (asked.body or reader.events == asked.tokens + 2):
        seen.whole += 1
    elif len(seen.broken) < 10:
        seen.broken.append(
            f"status {reader.status}, {reader.events} events, not a role, {asked.tokens} tokens and an end"
        )
    seen.events += reader.events
    seen.reads += len(reader.arrivals)


def _sum_up(asked: Asked, seen: Seen, gaps: list[tuple[float, float]], sent: list[Sent]) -> None:
    lengths = [length for _, length in gaps]
    if lengths:
        seen.gap_p50_ms, seen.gap_p99_ms = (quantile(lengths, share) * 1000 for share in (0.5, 0.99))
        seen.gap_max_ms = max(lengths) * 1000
    pace = asked.pace_ms / 1000
    for one in sent:
        if one.status != 200:
            seen.broken.append(f"a large request: status {one.status}")
            continue
        seen.large_ms.append((one.ended - one.began) * 1000)
        # The gap that it made ends with the first token behind it.
        width = max(one.ended - one.began, pace)
        seen.stalls_ms.append((_longest(gaps, one.began, one.began + width + pace) - pace) * 1000)
        seen.calm_ms.append((_longest(gaps, one.began - width - pace, one.began) - pace) * 1000)


def _longest(gaps: list[tuple[float, float]], since: float, until: float) -> float:
    return max((length for ended, length in gaps if since <= ended <= until), default=0.0)


def main() -> None:
    asked = Asked(**json.loads(sys.argv[1]))
    seen = uvloop.run(run(asked, Path(asked.large).read_bytes() if asked.large else b""))
    json.dump(asdict(seen), sys.stdout)


if __name__ == "__main__":
    main()
