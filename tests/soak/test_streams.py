"""A thousand streams for a minute, and five hundred clients that hardly read, through the whole stack over the bench's
stand-in: nothing is lost or cut, nobody waits for others, and memory stays flat.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from bench.bodies import CHAT, streamed
from bench.contenders import STAND_IN, found, serve
from bench.cpu import resident_bytes
from bench.sse import Reader
from bench.streams import request
from tests.server import ROOT, Server, serving

pytestmark = pytest.mark.soak

OPEN_FILES = 8192
MEGABYTE = 1024 * 1024
# A thousand streams: more tokens a second than a node of eight GPUs gives.
STREAMS = 1000
PACE_MS = 100.0
TOKENS = 600
MEASURED_AT = (20.0, 55.0)
FLAT = 24 * MEGABYTE
# Slow readers.
SLOW = 500
SLOW_SECONDS = 40.0
SLOW_TOKENS = 1_000_000  # 230 MB each: more than kernels hold on the way
A_READER_HOLDS = 512 * 1024
OTHERS = 16
OTHER_TOKENS = 500
OTHER_PACE_MS = 20.0


@dataclass
class Probes:
    """How long /health took, asked all the time from a thread of its own."""

    url: str
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def ask(self, stop: threading.Event) -> None:
        with httpx.Client(base_url=self.url, timeout=5.0, trust_env=False) as client:
            while not stop.wait(0.2):
                began = time.monotonic()
                try:
                    status = client.get("/health").status_code
                except httpx.TransportError as error:
                    self.wrong.append(repr(error))
                else:
                    if status != 200:
                        self.wrong.append(str(status))
                self.seconds.append(time.monotonic() - began)


@contextmanager
def probed(url: str) -> Iterator[Probes]:
    probes, stop = Probes(url), threading.Event()
    thread = threading.Thread(target=probes.ask, args=(stop,))
    thread.start()
    try:
        yield probes
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Server]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(OPEN_FILES, hard)), hard))
    with serving(tmp_path, *serve()[1:], engine=f"{sys.executable} {ROOT / STAND_IN}") as server:
        server.wait_ready()
        yield server


@asynccontextmanager
async def connected(port: int, count: int) -> AsyncIterator[list[Reader]]:
    loop = asyncio.get_running_loop()
    readers = [(await loop.create_connection(Reader, "127.0.0.1", port))[1] for _ in range(count)]
    try:
        yield readers
    finally:
        for reader in readers:
            reader.close()
        await asyncio.sleep(0.1)  # A socket is closed in the loop's next turn.


def memory(server: Server) -> dict[str, int]:
    """Of haproxy and the middleware."""
    return {name: resident_bytes(found(server.process.pid, name)) for name in ("haproxy", "middleware")}


def said(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} {size / MEGABYTE:.1f} MB" for name, size in sizes.items())


def test_a_thousand_streams_for_a_minute(stack: Server) -> None:
    measured: list[dict[str, int]] = []

    async def all_of_them() -> list[Reader]:
        loop = asyncio.get_running_loop()
        question = request(CHAT, streamed(TOKENS, PACE_MS))
        async with connected(stack.port, STREAMS) as readers:
            began = loop.time()
            ended = [reader.ask(question) for reader in readers]
            for moment in MEASURED_AT:
                await asyncio.sleep(began + moment - loop.time())
                measured.append(memory(stack))
            await asyncio.wait(ended, timeout=120)
            return readers

    before = memory(stack)
    with probed(stack.url) as probes:
        readers = asyncio.run(all_of_them())
    print(f"memory: {said(before)}; {'; '.join(map(said, measured))}; {said(memory(stack))}")
    print(f"/health: {len(probes.seconds)} times, at most {max(probes.seconds):.3f} s")
    unfinished = [f"status {r.status}, {r.events} events" for r in readers if not r.ended_well]
    assert not unfinished, f"{len(unfinished)} were lost or cut: {unfinished[:5]}"
    assert {reader.events for reader in readers} == {TOKENS + 2}, "a role, the tokens, the end"
    assert not probes.wrong, probes.wrong[:5]
    assert max(probes.seconds) < 1.0
    early, late = measured
    assert all(late[name] - early[name] < FLAT for name in late), f"{said(early)}; {said(late)}"


async def sip(port: int, question: bytes, stop: asyncio.Event) -> int:
    """How many bytes it has read; -1 if it was sent away."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with sock:
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, question)
        read = 0
        while not stop.is_set():
            piece = await loop.sock_recv(sock, 1)
            if not piece:
                return -1
            read += 1
            await asyncio.sleep(1.0)
        return read


def test_five_hundred_clients_that_read_a_byte_a_second(stack: Server) -> None:
    peak = dict.fromkeys(("haproxy", "middleware"), 0)

    async def among_them() -> tuple[list[int], list[float]]:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        endless = request(CHAT, streamed(SLOW_TOKENS, 0))
        slow = [asyncio.ensure_future(sip(stack.port, endless, stop)) for _ in range(SLOW)]
        gaps: list[float] = []
        async with connected(stack.port, OTHERS) as others:
            until = loop.time() + SLOW_SECONDS
            while loop.time() < until:
                await asyncio.sleep(1.0)
                ended = [other.ask(request(CHAT, streamed(OTHER_TOKENS, OTHER_PACE_MS))) for other in others]
                await asyncio.wait(ended, timeout=60)
                assert all(other.ended_well and other.events == OTHER_TOKENS + 2 for other in others)
                for other in others:
                    gaps += [later - earlier for earlier, later in pairwise(other.arrivals)]
                for name, size in memory(stack).items():
                    peak[name] = max(peak[name], size)
                print(
                    f"{loop.time() - until + SLOW_SECONDS:.0f} s: {said(memory(stack))}, gap {max(gaps) * 1000:.0f} ms"
                )
        stop.set()
        return await asyncio.gather(*slow), gaps

    before = memory(stack)
    with probed(stack.url) as probes:
        read, gaps = asyncio.run(among_them())
    longest, middle = max(gaps), sorted(gaps)[len(gaps) // 2]
    print(f"memory: {said(before)}; at most {said(peak)}; a slow reader read {min(read)} to {max(read)} bytes")
    print(f"the others' gaps: p50 {middle * 1000:.1f} ms, longest {longest * 1000:.1f} ms")
    assert min(read) > 0, f"{sum(each < 0 for each in read)} slow readers were sent away"
    assert all(peak[name] - before[name] < SLOW * A_READER_HOLDS for name in peak)
    assert abs(middle - OTHER_PACE_MS / 1000) < 0.005
    assert longest < 0.5
    assert not probes.wrong, probes.wrong[:5]
    assert max(probes.seconds) < 1.0
