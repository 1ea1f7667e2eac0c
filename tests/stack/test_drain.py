"""SIGTERM over the real stack: the lame duck, the drain, and what a client gets whose answer outlasts both."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.server import Server, wait_for
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack
MESSAGES = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"model": "stand-in", "messages": MESSAGES, "max_tokens": 8}
LONG: dict[str, Any] = {"model": "stand-in", "max_tokens": 8_000, "stream": True}
FOR_EVER = "3600"


class Asking(threading.Thread):
    """One request on a connection of its own; `lines` are those of its answer so far."""

    def __init__(self, server: Server, path: str, body: Mapping[str, Any], delay_ms: int = 50) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.status = 0
        self.connection: str | None = None
        self.fault = ""
        self._request = (f"{server.url}{path}", dict(body), {"x-standin-delay-ms": str(delay_ms)})
        self.start()

    def run(self) -> None:
        url, body, headers = self._request
        with httpx.Client(timeout=120, trust_env=False) as client:
            try:
                with client.stream("POST", url, json=body, headers=headers) as answer:
                    self.status, self.connection = answer.status_code, answer.headers.get("connection")
                    self.lines.extend(filter(None, answer.iter_lines()))
            except httpx.TransportError as fault:
                self.fault = repr(fault)


def test_fifty_running_streams_end_whole_and_who_comes_meanwhile_is_served(serve: Serve) -> None:
    server = serve("stand-in", env={"VLLM_SHIM_LAME_DUCK_SECONDS": "5", "VLLM_SHIM_DRAIN_SECONDS": "60"})
    server.wait_ready()
    streams = [
        Asking(server, "/v1/chat/completions", {**CHAT, "stream": True, "max_tokens": 80}, 100) for _ in range(50)
    ]
    wait_for(lambda: all(stream.lines for stream in streams), "fifty streams")
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: server.health() == 503, "/health to say that it goes")
    late = Asking(server, "/v1/chat/completions", CHAT, 1)
    late.join()
    assert (late.status, late.connection) == (200, "close")
    assert server.wait_end() == 0
    for stream in streams:
        stream.join()
    assert {(stream.status, stream.lines[-1], stream.fault) for stream in streams} == {(200, "data: [DONE]", "")}


@pytest.mark.parametrize(
    ("path", "body", "end"),
    [
        ("/v1/chat/completions", {**LONG, "messages": MESSAGES}, "data: [DONE]"),
        ("/v1/completions", {**LONG, "prompt": "hi"}, "data: [DONE]"),
        ("/v1/messages", {**LONG, "messages": MESSAGES}, "data: "),
        ("/v1/responses", {"model": "stand-in", "input": "hi", "stream": True, "max_output_tokens": 8_000}, "data: "),
    ],
)
@pytest.mark.parametrize("drain_seconds", ["1", "0"])
def test_after_a_drain_that_is_too_short_a_stream_ends_with_an_error_event(
    drain_seconds: str, path: str, body: Mapping[str, Any], end: str, serve: Serve
) -> None:
    server = serve("stand-in", env={"VLLM_SHIM_DRAIN_SECONDS": drain_seconds})
    server.wait_ready()
    stream = Asking(server, path, body)
    wait_for(lambda: stream.lines, "the first event")
    assert server.stop() == 0
    stream.join()
    assert stream.fault == ""
    assert any("The server is shutting down before the answer was finished" in line for line in stream.lines[-3:])
    assert stream.lines[-1].startswith(end)


def test_after_a_drain_that_is_too_short_an_answer_in_one_piece_is_a_503(serve: Serve) -> None:
    server = serve("stand-in", env={"VLLM_SHIM_DRAIN_SECONDS": "1"})
    server.wait_ready()
    asking = Asking(server, "/v1/chat/completions", {**CHAT, "max_tokens": 8_000})
    wait_for(lambda: "vllm:num_requests_running" in server.client.get("/metrics").text, "metrics")
    running = 'vllm:num_requests_running{engine="0",model_name="stand-in"} 1.0'
    wait_for(lambda: running in server.client.get("/metrics").text, "the request to run")
    assert server.stop() == 0
    asking.join()
    assert (asking.status, asking.fault) == (503, "")
    assert "The server is shutting down before the answer was finished" in asking.lines[0]


def test_the_lame_duck_lasts_while_requests_come_and_ends_when_they_do_not(serve: Serve) -> None:
    server = serve("stand-in", env={"VLLM_SHIM_LAME_DUCK_SECONDS": FOR_EVER})
    server.wait_ready()
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: server.health() == 503, "/health to say that it goes")
    answers = []
    for _ in range(20):  # five seconds: longer than the quiet that ends it
        time.sleep(0.25)
        answer = server.client.get("/v1/models")
        answers.append((answer.status_code, answer.headers.get("connection")))
    assert set(answers) == {(200, "close")}
    assert server.wait_end() == 0


def test_an_engine_that_loads_has_no_lame_duck(serve: Serve) -> None:
    """/health has been 503 all the time. Requests are refused, and yet they would hold it."""
    server = serve("stand-in", env={"STANDIN_LOAD_SECONDS": FOR_EVER, "VLLM_SHIM_LAME_DUCK_SECONDS": FOR_EVER})
    wait_for(lambda: server.health() == 503, "loading")
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            while not over.wait(0.1):
                try:
                    client.post("/v1/chat/completions", json=CHAT)
                except httpx.TransportError:
                    return

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert server.stop() == 0
    finally:
        over.set()
        asking.join()


def test_a_reader_who_stands_still_does_not_hold_a_container_whose_engine_is_dead(serve: Serve) -> None:
    env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "VLLM_SHIM_DRAIN_SECONDS": FOR_EVER}
    server = serve("stand-in", env=env)
    server.wait_ready()
    with socket.create_connection(("127.0.0.1", server.port)) as still:
        still.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = b'{"model":"stand-in","prompt":"hi","max_tokens":100000,"stream":true}'
        headers = b"host: a\r\ncontent-type: application/json\r\ncontent-length: %d" % len(body)
        still.sendall(b"POST /v1/completions HTTP/1.1\r\n%s\r\n\r\n%s" % (headers, body))
        assert still.recv(100)
        time.sleep(1)  # all that lies between is full by now
        os.kill(server.pid("sglang"), signal.SIGKILL)
        assert server.wait_end() == 128 + signal.SIGKILL


def test_a_middleware_that_an_operator_restarts_ends_its_streams_with_an_error_event(serve: Serve) -> None:
    server = serve("stand-in")
    server.wait_ready()
    stream = Asking(server, "/v1/chat/completions", {**LONG, "messages": MESSAGES})
    wait_for(lambda: stream.lines, "the first event")
    server.supervisorctl("restart", "middleware")
    stream.join()
    assert stream.fault == ""
    assert "shutting down" in stream.lines[-2]
    wait_for(lambda: server.health() == 200, "healthy again")
