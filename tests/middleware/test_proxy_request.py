"""What is sent on to the engine: nothing added, nothing lost, nothing held back."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from middleware import intake
from middleware.policy import Policy
from middleware.upstream import Connection, Pool
from tests.middleware.serving import PATIENCE, Served, middleware
from tests.middleware.upstreams import hostile
from tests.middleware.wire import REQUESTS, head_of

AS_IT_COMES = "/v1/audio/transcriptions"


def test_a_request_that_needs_nothing_goes_out_byte_for_byte(front: Served) -> None:
    body = '{"text" : [ "h\\u00e9 é 漢" ] ,\n "return_logprob":true, "priority":1}'
    headers = {"content-type": "application/json", "x-standin": "echo"}
    echo = front.post("/generate", content=body.encode(), headers=headers).json()
    assert echo["body"] == body
    assert echo["length"] == len(body.encode())


def test_a_request_that_needs_an_id_alone_keeps_its_bytes(front: Served) -> None:
    body = '{"messages" : [ {"role":"user", "content":"h\\u00e9 é 漢"} ],\n "logprobs":true, "seed":1.0'
    headers = {"content-type": "application/json", "x-standin": "echo"}
    echo = front.post("/v1/chat/completions", content=(body + "}").encode(), headers=headers).json()
    assert re.fullmatch(re.escape(body) + r',"rid":"chatcmpl-[0-9a-f]{16}"\}', echo["body"])


def test_a_request_that_must_change_carries_its_new_length(front: Served) -> None:
    body = {**REQUESTS["/v1/completions"], "guided_choice": ["a", "b"], "rid": "not theirs to choose"}
    echo = front.post("/v1/completions", json=body, headers={"x-standin": "echo"}).json()
    sent = json.loads(echo["body"])
    assert sent.pop("rid").startswith("cmpl-")
    assert sent["regex"] == "(a|b)"
    assert dict(echo["headers"])["content-length"] == str(echo["length"])


def test_the_operator_strips_fields(engine: Served) -> None:
    with middleware(engine.port, strip_params=frozenset({"logprobs"})) as front:
        for path in ("/v1/chat/completions", "/v1/completions"):
            echo = front.post(path, json={**REQUESTS[path], "logprobs": 1}, headers={"x-standin": "echo"}).json()
            assert "logprobs" not in json.loads(echo["body"])


def test_the_path_goes_on_as_the_client_wrote_it_without_a_query_that_sglang_would_log(front: Served) -> None:
    for target in ("/api%2Ftags?a=%2F&b", "/api%2Ftags?api_key=sk-1"):
        request = head_of(f"GET {target} HTTP/1.1", "x-standin: echo", "connection: close")
        assert b'"target": "/api%2Ftags"' in front.raw(request)
    for path in ("/api/show", AS_IT_COMES):
        assert front.post(f"{path}?sig=1", headers={"x-standin": "echo"}, json={}).json()["target"] == path


@pytest.mark.parametrize(
    ("asked", "goes_on"),
    [
        ("/v1/responses/resp_1?stream=true&starting_after=3&include=a&x=1", "?stream=true&starting_after=3&include=a"),
        ("/v1/responses/resp_1?api_key=1&include=sk%2Done&include=b", "?include=b"),
        ("/v1/responses/sk-one", None),
        ("/v1/responses/%73k-one", None),
        ("/flush_cache?timeout=3&sig=1&X-Amz-Signature=2&a=sk-one&token=2&b", "?timeout=3&b"),
    ],
)
def test_a_query_that_a_route_needs_goes_on_without_secrets(engine: Served, asked: str, goes_on: str | None) -> None:
    policy = Policy(response_store=True)
    with middleware(engine.port, policy=policy, api_keys=("sk-one",), expose_routes=("/flush_cache",)) as front:
        headers = {"x-standin": "echo", "authorization": "Bearer sk-one"}
        echo = front.get(asked, headers=headers).json()
    path = asked.partition("?")[0]
    assert echo["target"] == ("/v1/responses/%2A%2A%2A" if goes_on is None else path + goes_on)


def test_an_id_that_holds_a_key_is_not_told_to_sglang(guarded: Served) -> None:
    headers = {"x-standin": "echo", "authorization": "Bearer sk-one", "x-request-id": "a-sk-two"}
    echo = guarded.post("/v1/chat/completions", json=REQUESTS["/v1/chat/completions"], headers=headers).json()
    assert re.fullmatch("chatcmpl-[0-9a-f]{16}", json.loads(echo["body"])["rid"])


def test_headers_keep_their_order_and_duplicates_in_both_directions(front: Served) -> None:
    headers = [("x-standin", "echo"), ("x-a", "1"), ("x-b", "2"), ("x-a", "3")]
    answer = front.client.post("/generate", headers=headers, json={})
    passed = [tuple(pair) for pair in answer.json()["headers"]]
    assert [pair for pair in passed if pair[0] in ("x-a", "x-b")] == [("x-a", "1"), ("x-b", "2"), ("x-a", "3")]
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_what_belongs_to_a_connection_stays_on_it(front: Served) -> None:
    request = head_of(
        f"POST {AS_IT_COMES} HTTP/1.1", "x-standin: echo", "connection: close, X-Hop", "x-hop: 1", "te: trailers",
        "content-length: 2",
    )  # fmt: skip
    echo = json.loads(front.raw(request + b"{}").partition(b"\r\n\r\n")[2])
    names = {name for name, _ in echo["headers"]}
    assert names == {"host", "x-standin", "content-length"}
    assert dict(echo["headers"])["host"].startswith("127.0.0.1:")


def test_server_and_date_are_there_once(front: Served) -> None:
    for answer in (front.post("/generate", json={}), front.get("/health"), front.get("/nope")):
        assert answer.headers.get_list("server") == ["uvicorn"]
        assert len(answer.headers.get_list("date")) == 1


def test_a_packed_answer_stays_packed(front: Served) -> None:
    with front.client.stream("POST", "/generate", json={}, headers={"x-standin": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(answer.iter_raw())) == b'{"packed":true}'


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_the_engines_own_errors_pass(front: Served, status: int) -> None:
    answer = front.post("/generate", json={}, headers={"x-standin": f"status={status}"})
    assert answer.status_code == status
    assert f"the stand-in says {status}" in answer.text


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_arrives_whole(front: Served, chunked: bool) -> None:
    size = 5_000_000
    content: bytes | Iterator[bytes] = (b"x" * 50_000 for _ in range(100)) if chunked else b"x" * size
    echo = front.post(AS_IT_COMES, content=content, headers={"x-standin": "echo"}).json()
    assert echo["length"] == size
    assert ("transfer-encoding" in dict(echo["headers"])) is chunked


def test_an_edited_body_keeps_the_characters_of_what_is_not_edited(front: Served) -> None:
    content = "漢字 é \\u00e9" * 100
    body = f'{{"messages":[{{"role":"user","content":"{content}"}}],"guided_choice":["a","b"],"logprobs":true}}'
    headers = {"content-type": "application/json", "x-standin": "echo"}
    echo = front.post("/v1/chat/completions", content=body.encode(), headers=headers).json()
    assert f'"messages":[{{"role":"user","content":"{content}"}}]' in echo["body"]
    assert '"regex":"(a|b)"' in echo["body"]


def test_what_the_engine_has_too_is_not_taken_away(front: Served) -> None:
    kept = {"logprobs": True, "top_logprobs": 2, "chat_template_kwargs": {"enable_thinking": False}, "seed": 5,
            "stop": ["a"], "min_p": 0.5, "ignore_eos": True, "parallel_tool_calls": True}  # fmt: skip
    body = {**REQUESTS["/v1/chat/completions"], **kept}
    echo = front.post("/v1/chat/completions", json=body, headers={"x-standin": "echo"}).json()
    sent = json.loads(echo["body"])
    assert {name: sent.get(name) for name in kept} == kept


def test_a_websocket_is_refused_with_a_sentence_and_nobody_waits(front: Served) -> None:
    request = head_of(
        "GET /v1/realtime HTTP/1.1", "connection: Upgrade, close", "upgrade: websocket", "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    )  # fmt: skip
    answer = front.raw(request)
    assert answer.startswith(b"HTTP/1.1 501")
    assert b"WebSockets are not served" in answer


def test_a_large_json_body_arrives_whole(front: Served) -> None:
    body = json.dumps({"prompt": "漢" * 500_000}, ensure_ascii=False).encode()
    headers = {"content-type": "application/json", "x-standin": "echo"}
    length = front.post("/v1/completions", content=body, headers=headers).json()["length"]
    assert length == len(body) + len(',"rid":"cmpl-0123456789abcdef"')


def test_a_body_larger_than_the_limit_is_413_before_it_is_sent(front: Served) -> None:
    request = head_of(
        "POST /v1/chat/completions HTTP/1.1", "content-type: application/json", "content-length: 300000000",
        "connection: close",
    )  # fmt: skip
    answer = front.raw(request)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":413' in answer


@pytest.mark.parametrize("path", ["/generate", AS_IT_COMES])
def test_the_operators_limit_holds_for_every_body(engine: Served, path: str) -> None:
    with middleware(engine.port, policy=Policy(max_request_body_bytes=13)) as front:
        for content, status in ((b'{"text":"abc"}', 413), (b'{"text":"ab"}', 200)):
            in_chunks = iter([content[:5], content[5:]])
            for body in (content, in_chunks):
                headers = {"content-type": "application/json", "x-standin": "echo"}
                answer = front.post(path, content=body, headers=headers)
                assert answer.status_code == status
                if status == 413:
                    assert answer.json()["error"]["type"] == "RequestEntityTooLargeError"
                else:
                    assert answer.json()["length"] == len(content)


def test_a_client_that_waits_for_100_continue_gets_it(front: Served) -> None:
    with socket.create_connection(("127.0.0.1", front.port), PATIENCE) as sock:
        head = (
            f"POST {AS_IT_COMES} HTTP/1.1",
            "expect: 100-continue",
            "content-length: 2",
            "connection: close",
            "x-standin: echo",
        )
        sock.sendall(head_of(*head))
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/tokenize", AS_IT_COMES], ids=["edited", "as it comes"])
@pytest.mark.parametrize("begun", [b"", b"{"])
def test_a_body_that_stops_on_its_way_is_408_and_frees_its_connection(
    front: Served, path: str, begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "BODY_IDLE_SECONDS", 0.3)
    head = head_of(f"POST {path} HTTP/1.1", "content-length: 100", "content-type: application/json")
    answer = front.raw(head + begun)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer
    assert b'"type":"RequestTimeoutError"' in answer


def test_an_answer_before_the_body_was_sent_reaches_the_client(front: Served) -> None:
    answer = front.post(AS_IT_COMES, content=b"x" * 3_000_000, headers={"x-standin": "early"})
    assert answer.status_code == 413
    assert "says the stand-in" in answer.text


def test_a_body_is_sent_on_while_it_comes() -> None:
    first = threading.Event()

    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(5) == b"first"
        first.set()
        assert await reader.readexactly(4) == b"last"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    with hostile(answering) as port, middleware(port) as front:

        def content() -> Iterator[bytes]:
            yield b"first"
            assert first.wait(PATIENCE)  # The rest is only sent once the beginning has arrived.
            yield b"last"

        headers = {"content-length": "9", "content-type": "multipart/form-data; boundary=x"}
        assert front.post("/v1/audio/transcriptions", content=content(), headers=headers).text == "ok"


def test_the_rest_of_a_body_is_sent_on_though_it_came_while_we_connected(
    front: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = Pool.connect

    async def slowly(pool: Pool) -> Connection:
        await asyncio.sleep(0.3)
        return await connect(pool)

    monkeypatch.setattr(Pool, "connect", slowly)
    with socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE) as sock:
        sock.sendall(
            head_of(
                f"POST {AS_IT_COMES} HTTP/1.1", "content-type: multipart/form-data; boundary=x",
                "content-length: 2000", "x-standin: echo", "connection: close",
            )
            + b"a" * 1000
        )  # fmt: skip
        time.sleep(0.1)
        sock.sendall(b"b" * 1000)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["length"] == 2000
