"""/load counts the requests with the engine, and only those, however they end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from middleware.policy import Policy
from middleware.routes import ROUTES
from tests.middleware.serving import PATIENCE, Served, middleware, wait_for
from tests.middleware.wire import head_of


@pytest.fixture(scope="module")
def counting(engine: Served) -> Iterator[Served]:
    with middleware(engine.port, policy=Policy(load_tracking=True)) as front:
        yield front


def load(front: Served) -> int:
    answer = front.get("/load")
    assert answer.status_code == 200
    body: dict[str, int] = answer.json()
    assert list(body) == ["server_load"]
    return body["server_load"]


def idle(front: Served) -> None:
    wait_for(lambda: load(front) == 0, "nothing runs any more")


def test_a_stream_counts_until_its_end(counting: Served) -> None:
    body = {"messages": [{"role": "user", "content": "a"}], "stream": True, "max_tokens": 5}
    headers = {"x-standin-delay-ms": "50"}
    with httpx.Client(base_url=counting.url, timeout=PATIENCE, trust_env=False) as client:
        with client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
            lines = answer.iter_lines()
            next(lines)
            assert load(counting) == 1
            assert list(lines)[-2] == "data: [DONE]"
        idle(counting)


def test_a_client_that_leaves_counts_no_more(counting: Served) -> None:
    request = head_of(
        "POST /v1/completions HTTP/1.1", "content-type: application/json", "content-length: 14", "x-standin: slow=60"
    )
    with socket.create_connection(("127.0.0.1", counting.port), PATIENCE) as sock:
        sock.sendall(request + b'{"prompt":"a"}')
        wait_for(lambda: load(counting) == 1, "it is counted")
    idle(counting)


def test_failures_are_counted_out_again(counting: Served) -> None:
    asked = {"prompt": "a"}
    for body, fault in ((asked, "drop"), (asked, "status=500"), (asked | {"n": 0}, "")):
        counting.post("/v1/completions", json=body, headers={"x-standin": fault})
        assert load(counting) == 0


@pytest.mark.parametrize("flag", [False, True])
def test_only_the_flag_and_only_work_counts(engine: Served, counting: Served, flag: bool) -> None:
    path = "/v1/tokenize" if flag else "/v1/completions"
    with middleware(engine.port) as plain:
        front = counting if flag else plain
        started = threading.Event()

        def ask() -> None:
            started.set()
            httpx.post(f"{front.url}{path}", json={"prompt": "a"}, headers={"x-standin": "slow=0.5"}, timeout=PATIENCE)

        asking = threading.Thread(target=ask)
        asking.start()
        started.wait(PATIENCE)
        wait_for(lambda: engine.stats()["active"] > 1, "it is with the engine")
        assert load(front) == 0
        asking.join(PATIENCE)


def test_what_counts_is_what_counts_in_vllm_and_sglangs_own_work() -> None:
    tracked = {route.path for route in ROUTES if route.tracked}
    assert {"/v1/responses", "/v1/responses/{id}", "/v1/messages/count_tokens", "/score", "/generate"} <= tracked
    assert {"/invocations", "/v1/chat/completions/batch", "/pooling", "/v2/embed"} <= tracked
    assert not tracked & {"/tokenize", "/v1/models", "/generative_scoring", "/v1/load_lora_adapter"}


def test_what_is_answered_here_counts_too(counting: Served) -> None:
    """And once only, though it goes through the table of routes a second time."""
    request = head_of(
        "POST /invocations HTTP/1.1", "content-type: application/json", "content-length: 14", "x-standin: slow=60"
    )
    with socket.create_connection(("127.0.0.1", counting.port), PATIENCE) as sock:
        sock.sendall(request + b'{"prompt":"a"}')
        wait_for(lambda: load(counting) == 1, "it is counted")
    idle(counting)
