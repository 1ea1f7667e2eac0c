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
from tests.middleware.wire import REQUESTS, SSE, chunk, read_body

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
        front.client.stream("POST", path, json={**REQUESTS[path], "stream": True}) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == "data: one"
        seen.set()
        assert list(lines) == ["", "data: two", ""]


def test_a_stream_of_sglangs_own_comes_through_unchanged(front: Served, engine: Served) -> None:
    request = {**REQUESTS["/generate"], "stream": True, "rid": "the-same", "sampling_params": {"max_new_tokens": 20}}
    ours, theirs = front.post("/generate", json=request), engine.post("/generate", json=request)
    assert ours.headers["content-type"] == theirs.headers["content-type"]
    assert ours.text == theirs.text


def test_a_chats_stream_is_told_in_vllms_words(front: Served) -> None:
    request = {**REQUESTS["/v1/chat/completions"], "model": "alias", "stream": True, "max_tokens": 20}
    answer = front.post("/v1/chat/completions", json=request, headers={"x-request-id": "mine"})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    *events, done, rest = answer.text.split("\n\n")
    assert (len(events), done, rest) == (22, "data: [DONE]", "")  # A role, 20 tokens, an end.
    told = [json.loads(event.removeprefix("data: ")) for event in events]
    assert {(chunk["id"], chunk["model"]) for chunk in told} == {("chatcmpl-mine", "alias")}
    assert all("reasoning_content" not in chunk["choices"][0]["delta"] for chunk in told)
    assert told[-1]["system_fingerprint"].startswith("vllm-0.33.0-")


@pytest.mark.parametrize(("path", "prefix"), [("/v1/chat/completions", "chatcmpl-"), ("/v1/completions", "cmpl-")])
def test_an_answer_is_told_in_vllms_words_and_has_its_new_length(front: Served, path: str, prefix: str) -> None:
    answer = front.post(path, json=REQUESTS[path], headers=[(b"x-request-id", b"\xe9")])
    assert answer.json()["id"] == prefix + "é"
    assert answer.json()["usage"]["completion_tokens_details"] is None
    assert answer.headers.get_list("content-length") == [str(len(answer.content))]


def test_one_id_at_a_time_is_no_rule_for_clients(front: Served) -> None:
    """SGLang refuses an id that is in use, and vLLM does not: it is told another."""
    echoes = [
        front.post(
            "/v1/completions", json=REQUESTS["/v1/completions"], headers={"x-standin": "echo", "x-request-id": "a"}
        )
        for _ in range(2)
    ]
    one, two = (json.loads(echo.json()["body"])["rid"] for echo in echoes)
    assert one != two
    assert one.startswith("cmpl-a-")


def test_a_completion_longer_than_its_room_is_asked_for_again() -> None:
    asked: list[int] = []

    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await read_body(head, reader))
        asked.append(request["max_tokens"])
        if request["max_tokens"] + 100 > 2048:
            total = request["max_tokens"] + 100
            message = (
                f"Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a "
                f"total of {total} tokens: 100 tokens from the input messages and {request['max_tokens']} tokens for "
                "the completion. Please reduce the number of tokens in the input messages or the completion to fit "
                "within the limit."
            )
            body = json.dumps({"object": "error", "message": message, "code": 400}).encode()
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        else:
            writer.write(SSE + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    request = {**REQUESTS["/v1/chat/completions"], "stream": True}
    with hostile(answering) as port, middleware(port) as front:
        answer = front.post("/v1/chat/completions", json={**request, "max_tokens": 2000})
        assert (answer.status_code, answer.text) == (200, "data: [DONE]\n\n")
        assert asked == [2000, 1948]
        answer = front.post("/v1/chat/completions", json={**request, "max_tokens": 3000})
    assert asked == [2000, 1948, 3000]
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("max_tokens=3000 cannot be greater than max_model_len=2048.")


def test_an_answer_that_dies_before_it_is_whole_is_502_and_not_a_part() -> None:
    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(head, reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    with hostile(answering) as port, middleware(port) as front:
        answer = front.post("/v1/chat/completions", json=REQUESTS["/v1/chat/completions"])
    assert answer.status_code == 502
    assert answer.json()["error"]["type"] == "BadGatewayError"


@pytest.mark.parametrize("size", [1000, 2_000_000])
def test_an_error_without_a_word_of_json_has_vllms_shape(size: int) -> None:
    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_body(head, reader)
        writer.write(b"HTTP/1.1 500 Internal\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % size)
        writer.write(b"/venv/lib/x.py " * (size // 15 + 1))
        await writer.drain()
        writer.close()

    with hostile(answering) as port, middleware(port) as front:
        answer = front.post("/v1/chat/completions", json=REQUESTS["/v1/chat/completions"])
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/json")
    assert answer.json()["error"] == {
        "message": "Internal server error",
        "type": "InternalServerError",
        "param": None,
        "code": 500,
    }


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
            answer = front.get("/api/tags")
            assert (answer.status_code, answer.content) == (status, body)


def test_an_answers_hop_by_hop_headers_stay_behind() -> None:
    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nconnection: keep-alive, X-Hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nx-kept: 2\r\n"
            b"content-length: 0\r\n\r\n"
        )

    with hostile(answering) as port, middleware(port) as front:
        names = set(front.get("/api/tags").headers)
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
        front.client.stream("GET", "/api/tags") as answer,
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
            request = {**REQUESTS["/v1/chat/completions"], "stream": True}
            asking = [client.post("/v1/chat/completions", json=request) for _ in range(together)]
            return await asyncio.gather(*asking)

    with hostile(answering) as port, middleware(port) as front, ThreadPoolExecutor() as threads:
        answers = threads.submit(lambda: asyncio.run(ask(front.url)))
        try:
            assert all_there.wait(PATIENCE)
            assert front.get("/health").status_code == 200
            assert f'requests_in_flight{{engine="0",model_name="m"}} {together}.0' in front.get("/metrics").text
        finally:
            go_on.set()
        assert {answer.text for answer in answers.result()} == {"data: one\n\ndata: [DONE]\n\n"}
