"""What a client sees when the engine fails: vLLM's errors, and never a part that looks like the whole."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from middleware import proxy
from middleware.endpoints import models
from tests.middleware.serving import Served, middleware, stand_in
from tests.middleware.upstreams import hostile
from tests.middleware.wire import REQUESTS, SSE, chunk, read_body


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="closes"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: ", id="closes in the header"),
        pytest.param(b"nonsense\r\n\r\n", id="nonsense"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000, id="a giant header"),
    ],
)
def test_an_engine_that_fails_before_it_answers_is_502_in_vllms_shape(sent: bytes) -> None:
    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.close()

    with hostile(answering) as port, middleware(port) as front:
        for path in ("/v1/chat/completions", "/generate"):
            answer = front.post(path, json={**REQUESTS[path], "stream": True})
            assert answer.status_code == 502
            assert answer.json() == {
                "error": {
                    "message": "The engine failed before it answered. Please retry.",
                    "type": "BadGatewayError",
                    "param": None,
                    "code": 502,
                }
            }


def test_an_engine_that_refuses_connections_is_503_with_retry_after() -> None:
    with stand_in() as engine, middleware(engine.port) as front:
        engine.crash()
        # At once, be it the byte path that finds nobody there or the engine's state that knows already.
        answer = front.post("/v1/chat/completions", json=REQUESTS["/v1/chat/completions"])
        assert answer.status_code == 503
        assert answer.json()["error"]["type"] == "ServiceUnavailableError"
        assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("last", [b"data: whole\n\n", b'data: {"ha'], ids=["between events", "within an event"])
def test_a_stream_that_dies_ends_with_an_error_event_and_done(last: bytes) -> None:
    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(head, reader)
        writer.write(SSE + chunk(b"data: one\n\n") + chunk(last))
        await writer.drain()
        writer.close()

    with hostile(answering) as port, middleware(port) as front:
        for path in ("/v1/chat/completions", "/generate"):
            events = front.post(path, json={**REQUESTS[path], "stream": True}).text.split("\n\n")
            assert events[0] == "data: one"
            # Where events are edited, half of one is not sent at all.
            whole = last.endswith(b"\n\n") or path == "/generate"
            assert events[1:-3] == ([last.decode().strip()] if whole else [])
            assert json.loads(events[-3].removeprefix("data: "))["error"]["type"] == "BadGatewayError"
            assert events[-2:] == ["data: [DONE]", ""]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", id="a length not reached"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n", id="no last chunk"),
        pytest.param(SSE[:-2] + b"content-encoding: gzip\r\n\r\n1\r\n\x1f\r\n", id="a packed stream"),
    ],
)
def test_anything_else_that_dies_is_cut_and_never_looks_whole(sent: bytes) -> None:
    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.close()

    with (
        hostile(answering) as port,
        middleware(port) as front,
        front.client.stream("GET", "/api/tags") as answer,
    ):
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            list(answer.iter_raw())


def test_a_stale_connection_is_not_the_clients_concern() -> None:
    connections: dict[asyncio.StreamWriter, int] = {}

    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await read_body(head, reader)
        connections[writer] = connections.get(writer, 0) + 1
        if connections[writer] == 2:
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    with hostile(answering) as port, middleware(port) as front:
        for number in range(4):
            assert front.post("/generate", json={"priority": number}).json() == {"priority": number}
    assert len(connections) >= 3


def test_a_fault_of_ours_is_500_in_vllms_shape_too(
    front: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(*args: object, **more: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(proxy, "require_json", fault)
    monkeypatch.setattr(models, "card", fault)
    close = {"connection": "close"}  # uvicorn closes behind a fault, and the next test must not get that connection.
    for answer in (front.post("/v1/chat/completions", json={}), front.get("/v1/models", headers=close)):
        assert answer.status_code == 500
        assert answer.json()["error"]["type"] == "InternalServerError"
        assert answer.json()["error"]["code"] == 500
    assert "ZeroDivisionError: ours" in caplog.text
