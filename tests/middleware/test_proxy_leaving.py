"""A client that leaves is passed on to the engine at once, whatever it was waiting for."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

import pytest

from tests.middleware.serving import PATIENCE, Served, middleware, wait_for
from tests.middleware.upstreams import hostile
from tests.middleware.wire import REQUESTS, head_of

NAME = "smollm2-135m"  # the stand-in's
STREAMED = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/generate"]


def send_and_leave(front: Served, engine: Served, request: bytes, expect: bytes = b"") -> None:
    """The engine has the request, and (if it says so) the client a part of the answer."""
    before = engine.stats()["disconnects"]
    with socket.create_connection(("127.0.0.1", front.port), PATIENCE) as sock:
        sock.sendall(request)
        wait_for(lambda: engine.stats()["active"] == 2, "the engine works on it")  # This question is one more.
        got = b""
        while expect not in got:
            got += sock.recv(65536)
    wait_for(lambda: engine.stats()["disconnects"] == before + 1, "the engine knows that the client has left")
    assert engine.stats()["active"] == 1


def length(path: str, tokens: int) -> dict[str, int]:
    return {"/v1/responses": {"max_output_tokens": tokens}}.get(path, {"max_tokens": tokens})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", STREAMED)
def test_a_client_that_leaves_is_passed_on_before_the_first_byte(
    front: Served, engine: Served, path: str, stream: bool
) -> None:
    body = json.dumps({**REQUESTS[path], "model": NAME, "stream": stream, **length(path, 1000)})
    head = head_of(f"POST {path} HTTP/1.1", "content-type: application/json", f"content-length: {len(body)}",
                   "x-standin-delay-ms: 60000")  # fmt: skip
    send_and_leave(front, engine, head + body.encode())


@pytest.mark.parametrize("path", STREAMED)
def test_a_client_that_leaves_is_passed_on_in_the_middle_of_a_stream(front: Served, engine: Served, path: str) -> None:
    body = json.dumps({**REQUESTS[path], "model": NAME, "stream": True, **length(path, 8000)})
    head = head_of(f"POST {path} HTTP/1.1", "content-type: application/json", f"content-length: {len(body)}",
                   "x-standin-delay-ms: 20")  # fmt: skip
    send_and_leave(front, engine, head + body.encode(), expect=b"data: ")


def test_a_client_that_leaves_before_its_body_is_whole_leaves_nothing_behind() -> None:
    closed = threading.Event()

    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        arrived.set()
        await reader.read()
        closed.set()

    arrived = threading.Event()
    with hostile(answering) as port, middleware(port) as front:
        with socket.create_connection(("127.0.0.1", front.port), PATIENCE) as sock:
            sock.sendall(head_of("POST /v1/audio/transcriptions HTTP/1.1", "content-length: 100") + b"first")
            assert arrived.wait(PATIENCE)
        assert closed.wait(PATIENCE)
        with socket.create_connection(("127.0.0.1", front.port), PATIENCE) as sock:
            head = ("POST /v1/completions HTTP/1.1", "content-type: application/json", "content-length: 100")
            sock.sendall(head_of(*head) + b"{")
        assert front.get("/health").status_code == 200
