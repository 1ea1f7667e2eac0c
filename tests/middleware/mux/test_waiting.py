"""A request that has waited for its turn is the one that it was: with a body or without, until its client leaves."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.middleware.mux.several import Several, member, several
from tests.middleware.serving import wait_for

SLOW = "x-standin: slow=3600"


@pytest.fixture(scope="module")
def pair() -> Iterator[Several]:
    with several(member("a"), member("c", kind="other", health="/echo")) as front:
        yield front
        assert front.violations() == ""


@pytest.fixture
def front(pair: Several) -> Several:
    """c is to be waited for."""
    assert pair.chat("a").status_code == 200
    return pair


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_request_without_a_body_is_answered_after_its_wait(front: Several, method: str) -> None:
    answer = front.client.request(method, "/upstream/c/echo/x")
    assert (answer.status_code, answer.json()["method"], answer.json()["length"]) == (200, method, 0)


@pytest.mark.parametrize("body", [b"", b"as it is"], ids=["without a body", "with one"])
def test_who_leaves_after_his_wait_holds_nobody(front: Several, body: bytes) -> None:
    length = f"content-length: {len(body)}\r\n" if body else ""
    head = f"POST /upstream/c/echo/x HTTP/1.1\r\nhost: x\r\n{SLOW}\r\n{length}\r\n"
    with socket.create_connection(("127.0.0.1", front.port)) as sock:
        sock.sendall(head.encode() + body)
        wait_for(lambda: front.member("c")["in_flight"] == 1, "it runs")
    wait_for(lambda: front.member("c")["in_flight"] == 0, "its end")
