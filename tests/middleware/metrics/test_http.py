"""vLLM's http_* series, by the rules of prometheus-fastapi-instrumentator 8 as vLLM 0.33.0 sets it up."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.middleware.endpoints.sglang import NAME, Sglang
from tests.middleware.metrics import answers
from tests.middleware.metrics.answers import CHAT, CHATS, COMPLETIONS
from tests.middleware.metrics.counting import counting, page
from tests.middleware.metrics.pages import Page
from tests.middleware.serving import Served, free_port, middleware, stand_in, wait_for

KEY = "k" * 20


@pytest.fixture
def front() -> Iterator[Served]:
    with counting(Sglang({CHATS: answers.chat("stop")})) as one:
        yield one


def requests(found: Page) -> dict[tuple[str, str, str], float]:
    samples = found.all("http_requests_total")
    return {(one.labels["handler"], one.labels["method"], one.labels["status"]): one.value for one in samples}


def test_requests_count_by_handler_method_and_class_of_status(front: Served) -> None:
    for _ in range(2):
        front.post(CHATS, json=CHAT).raise_for_status()
    front.post(CHATS, json={**CHAT, "model": "nobody"})
    front.get("/v1/models").raise_for_status()
    assert requests(page(front)) == {
        (CHATS, "POST", "2xx"): 2,
        (CHATS, "POST", "4xx"): 1,
        ("/v1/models", "GET", "2xx"): 1,
    }


@pytest.mark.parametrize(
    "path", ["/metrics", "/health", "/ping", "/load", "/version", "/ready", "/healthz", "/a/version/b"]
)
def test_what_asks_how_the_server_is_is_not_counted(path: str, front: Served) -> None:
    front.get(path)
    found = page(front)
    assert requests(found) == {}
    assert found.value("http_request_duration_highr_seconds_count") == 0


def test_what_nobody_handles_has_no_handler(front: Served) -> None:
    for path in ("/nowhere", "/v2/else", "/%ff", "/a" * 500):
        assert front.get(path).status_code == 404
    assert requests(page(front)) == {("none", "GET", "4xx"): 4}


def test_a_method_that_a_path_does_not_have_counts_for_it(front: Served) -> None:
    assert front.get(CHATS).status_code == 405
    assert requests(page(front)) == {(CHATS, "GET", "4xx"): 1}


def test_a_path_with_a_parameter_is_one_handler(front: Served) -> None:
    for name in ("a", "b"):
        front.get(f"/v1/responses/{name}")
    assert requests(page(front)) == {("/v1/responses/{id}", "GET", "4xx"): 2}


def test_a_redirect_counts_as_one(front: Served) -> None:
    assert front.post(f"{CHATS}/", json=CHAT).status_code == 307
    assert requests(page(front)) == {("none", "POST", "3xx"): 1}


def test_who_has_no_key_and_who_asks_whether_he_may_are_not_counted() -> None:
    with counting(Sglang(), api_keys=(KEY,)) as front:
        assert front.post(CHATS, json=CHAT).status_code == 401
        asking = {"origin": "http://a", "access-control-request-method": "POST"}
        assert front.client.options(CHATS, headers=asking).status_code in (200, 400)
        assert requests(page(front)) == {}


def test_what_comes_before_the_engine_is_there_counts() -> None:
    with middleware(free_port(), wait_ready=False) as front:
        assert front.post(CHATS, json=CHAT).status_code == 503
        assert requests(page(front)) == {(CHATS, "POST", "5xx"): 1}


def test_a_request_by_way_of_another_route_counts_once(front: Served) -> None:
    front.post("/v1/messages", json=CHAT).raise_for_status()
    assert requests(page(front)) == {("/v1/messages", "POST", "2xx"): 1}


def test_sizes_are_those_that_headers_tell() -> None:
    with stand_in() as engine, middleware(engine.port, served_model_names=(NAME,)) as front:
        sent, received = 0, 0
        for words in ("hi", "hello" * 100):
            answer = front.post(CHATS, json={**CHAT, "messages": [{"role": "user", "content": words}]})
            sent += int(answer.request.headers["content-length"])
            received += int(answer.headers["content-length"])
        chunked = front.post(
            COMPLETIONS, content=iter([b'{"prompt":"a","stream":true}']), headers={"content-type": "application/json"}
        )
        assert chunked.status_code == 200
        found = page(front)
    for name, size in (("request", sent), ("response", received)):
        assert found.value(f"http_{name}_size_bytes_count", handler=CHATS) == 2
        assert found.value(f"http_{name}_size_bytes_sum", handler=CHATS) == size
        assert found.value(f"http_{name}_size_bytes_count", handler=COMPLETIONS) == 1
        assert found.value(f"http_{name}_size_bytes_sum", handler=COMPLETIONS) == 0, "neither said how long it would be"


def test_times_are_counted_together_and_by_handler(front: Served) -> None:
    front.post(CHATS, json=CHAT).raise_for_status()
    front.get("/nowhere")
    found = page(front)
    assert found.value("http_request_duration_highr_seconds_count") == 2
    assert found.value("http_request_duration_seconds_count", handler=CHATS, method="POST") == 1
    assert found.value("http_request_duration_seconds_count", handler="none", method="GET") == 1
    assert found.value("http_request_duration_seconds_bucket", handler=CHATS, le="+Inf") == 1


def test_a_stream_counts_when_it_has_ended() -> None:
    with stand_in("--delay-ms", "30") as engine, middleware(engine.port) as front:
        body = {"messages": CHAT["messages"], "max_tokens": 100, "stream": True}
        with front.client.stream("POST", CHATS, json=body) as stream:
            assert stream.status_code == 200
            assert requests(Page(front.client.get("/metrics").text)) == {}
            stream.read()
        wait_for(lambda: requests(page(front)), "the stream to be counted")
        assert requests(page(front)) == {(CHATS, "POST", "2xx"): 1}


def test_a_client_that_leaves_unanswered_is_a_4xx() -> None:
    with stand_in("--delay-ms", "50") as engine, middleware(engine.port) as front:
        body = b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":2000}'
        head = b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        with socket.create_connection(("127.0.0.1", front.port)) as leaving:
            leaving.sendall(head % (CHATS.encode(), len(body)) + body)
            wait_for(lambda: engine.stats()["active"] > 1, "the engine has it")
        wait_for(lambda: requests(page(front)), "the request to be counted")
        assert requests(page(front)) == {(CHATS, "POST", "4xx"): 1}
