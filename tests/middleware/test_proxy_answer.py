"""What comes back from the engine: each piece as it arrives, and whole."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.middleware.serving import PATIENCE, Served, middleware, wait_for
from tests.middleware.upstreams import hostile
from tests.middleware.wire import SSE, chunk, read_body

STREAMED = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/generate"]


@pytest.mark.parametrize("path", STREAMED)
def test_no_stream_is_held_up(path: str) -> None:
    seen = threading.Event()

    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(head, reader)
        writer.write(SSE + chunk(b"data: one\n\n"))
        await writer.drain()
        await asyncio.to_thread(seen.wait, PATIENCE)  # The second event is sent only when the client has the first.
        writer.write(chunk(b"data: two\n\n") + b"0\r\n\r\n")

    with (
        hostile(answering) as port,
        middleware(port) as front,
        front.client.stream("POST", path, json={"stream": True}) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == "data: one"
        seen.set()
        assert list(lines) == ["", "data: two", ""]


def test_a_recorded_stream_comes_through_unchanged(front: Served, engine: Served) -> None:
    request = {"model": "m", "messages": [], "stream": True, "max_tokens": 20, "rid": "the-same"}
    ours = front.post("/v1/chat/completions", json=request)
    theirs = engine.post("/v1/chat/completions", json=request)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    events, expected = ours.text.split("\n\n"), theirs.text.split("\n\n")
    assert len(events) == len(expected) == 24  # A role, 20 tokens, an end, [DONE] and what follows the last blank line.
    assert events[-2] == "data: [DONE]"
    for event, other in zip(events[:-2], expected[:-2], strict=True):
        ours_json, theirs_json = json.loads(event[6:]), json.loads(other[6:])
        assert ours_json | {"created": 0} == theirs_json | {"created": 0}


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", id="no content"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b"", id="not modified"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nto the end", 200, b"to the end", id="no length"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", 200, b"x", id="100"
        ),
    ],
)
def test_every_framing_reaches_the_client(sent: bytes, status: int, body: bytes) -> None:
    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.close()

    with hostile(answering) as port, middleware(port) as front:
        for _ in range(2):
            answer = front.get("/v1/models/m")
            assert (answer.status_code, answer.content) == (status, body)


def test_an_answers_hop_by_hop_headers_stay_behind() -> None:
    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: keep-alive, X-Hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nx-kept: 2\r\n"
            b"content-length: 0\r\n\r\n"
        )

    with hostile(answering) as port, middleware(port) as front:
        names = set(front.get("/v1/models/m").headers)
        assert names == {"date", "server", "vary", "x-kept", "content-length"}


def test_a_slow_client_stops_the_engine_and_loses_nothing() -> None:
    size = 128 * 1024 * 1024
    sent = 0

    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    def halted() -> bool:
        before.append(sent)
        threading.Event().wait(0.2)
        return before[-1] == sent > 0

    before = [-1]
    with (
        hostile(answering) as port,
        middleware(port) as front,
        front.client.stream("GET", "/v1/models/m") as answer,
    ):
        wait_for(halted, "the engine has come to a halt")
        assert sent < size // 2
        assert sum(len(piece) for piece in answer.iter_raw()) == size


def test_hundreds_of_streams_run_at_once_and_health_is_not_among_them() -> None:
    together = 150
    arrived = 0
    all_there = threading.Event()
    go_on = threading.Event()

    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        if head.startswith(b"GET /metrics"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nm\n")
            return
        await read_body(head, reader)
        writer.write(SSE + chunk(b"data: one\n\n"))
        arrived += 1
        if arrived == together:
            all_there.set()
        while not go_on.is_set():  # noqa: ASYNC110  (the other side is a thread)
            await asyncio.sleep(0.05)
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    async def ask(url: str) -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=PATIENCE, trust_env=False) as client:
            asking = [client.post("/v1/chat/completions", json={"stream": True}) for _ in range(together)]
            return await asyncio.gather(*asking)

    with hostile(answering) as port, middleware(port) as front, ThreadPoolExecutor() as threads:
        answers = threads.submit(lambda: asyncio.run(ask(front.url)))
        try:
            assert all_there.wait(PATIENCE)
            assert front.get("/health").status_code == 200
            assert front.get("/metrics").text == "m\n"
        finally:
            go_on.set()
        assert {answer.text for answer in answers.result()} == {"data: one\n\ndata: [DONE]\n\n"}
