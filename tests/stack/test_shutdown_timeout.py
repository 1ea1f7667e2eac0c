"""--shutdown-timeout: how long running requests go on after SIGTERM."""

from __future__ import annotations

import threading

import httpx
import pytest

from tests.server import Server, wait_for
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack


def streaming(server: Server) -> tuple[threading.Thread, list[str]]:
    """A stream of ten seconds that has begun: its lines, and the thread that reads them."""
    lines: list[str] = []
    body = {"model": "stand-in", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100, "stream": True}

    def read() -> None:
        headers = {"x-standin-delay-ms": "100"}
        with (
            httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
            client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer,
        ):
            try:
                lines.extend(filter(None, answer.iter_lines()))
            except httpx.TransportError:
                lines.append("cut")

    thread = threading.Thread(target=read)
    thread.start()
    wait_for(lambda: lines, "the first event of the stream")
    return thread, lines


def test_0_ends_them_at_once(serve: Serve) -> None:
    server = serve("stand-in", "--shutdown-timeout", "0")
    server.wait_ready()
    thread, lines = streaming(server)
    assert server.stop() == 0
    thread.join()
    assert "shutting down" in lines[-2]
    assert lines[-1] == "data: [DONE]"


def test_time_enough_lets_them_end(serve: Serve) -> None:
    server = serve("stand-in", "--shutdown-timeout", "40")
    server.wait_ready()
    thread, lines = streaming(server)
    assert server.stop() == 0
    thread.join()
    assert lines[-1] == "data: [DONE]"
