"""The heads of answers: CORS as vLLM's own middleware has it, SGLang's taken off, and the request's id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from middleware.policy import Policy
from tests.middleware.conftest import KEYS
from tests.middleware.serving import Served, middleware

PAGE = "http://page.example"
OTHER = "http://other.example"
ASKING = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,authorization"}
METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY"
ASKED = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network"

# Answered by the engine (whole, streamed, refused), by us, and by nobody.
EXCHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/completions", {"json": {"prompt": "a"}}),
    ("POST", "/v1/chat/completions", {"json": {"messages": [], "stream": True}}),
    ("POST", "/v1/completions", {"json": {"prompt": "a"}, "headers": {"x-standin": "status=400"}}),
    ("POST", "/v1/completions", {"json": {"prompt": "a", "n": 0}}),
    ("POST", "/v1/completions", {"content": b"{"}),
    ("POST", "/v1/completions", {"json": {}, "headers": {"x-standin": "drop"}}),
    ("GET", "/v1/completions", {}),
    ("GET", "/v1/models", {}),
    ("GET", "/health", {}),
    ("GET", "/nope", {}),
    ("GET", "/version/", {}),
]


@pytest.fixture(scope="module")
def pages(engine: Served) -> Iterator[Served]:
    with middleware(engine.port, policy=Policy(allowed_origins=(PAGE,)), api_keys=KEYS) as front:
        yield front


@pytest.fixture(scope="module")
def identified(engine: Served) -> Iterator[Served]:
    with middleware(engine.port, policy=Policy(request_id_headers=True), api_keys=KEYS) as front:
        yield front


def ask(front: Served, method: str, path: str, options: dict[str, Any], **headers: str) -> httpx.Response:
    given = {"authorization": f"Bearer {KEYS[0]}", **options.get("headers", {}), **headers}
    return front.client.request(method, path, **{**options, "headers": given})


def cors(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize(("method", "path", "options"), EXCHANGES)
def test_without_origins_nobody_is_allowed_whatever_the_engine_says(
    front: Served, method: str, path: str, options: dict[str, Any]
) -> None:
    answer = ask(front, method, path, options, origin=PAGE)
    assert cors(answer) == {}
    assert answer.headers.get_list("vary") == ["Origin"]


def test_a_preflight_without_origins_is_refused_as_recorded(front: Served) -> None:
    answer = front.client.options("/v1/chat/completions", headers={"origin": PAGE, **ASKING})
    assert (answer.status_code, answer.text) == (400, "Disallowed CORS origin")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["vary"] == ASKED
    assert cors(answer) == {
        "access-control-allow-methods": METHODS,
        "access-control-max-age": "600",
        "access-control-allow-headers": "content-type,authorization",
    }


@pytest.mark.parametrize(("method", "path", "options"), EXCHANGES)
def test_a_named_page_may_read_every_answer(pages: Served, method: str, path: str, options: dict[str, Any]) -> None:
    answer = ask(pages, method, path, options, origin=PAGE)
    assert cors(answer) == {"access-control-allow-origin": PAGE}
    assert answer.headers.get_list("vary") == ["Origin"]
    assert cors(ask(pages, method, path, options, origin=OTHER)) == {}
    assert cors(ask(pages, method, path, options)) == {}


def test_a_preflight_needs_no_key_and_a_401_has_no_cors(pages: Served) -> None:
    answer = pages.client.options("/v1/chat/completions", headers={"origin": PAGE, **ASKING})
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["access-control-allow-origin"] == PAGE
    refused = pages.post("/v1/completions", json={}, headers={"origin": PAGE})
    assert refused.status_code == 401
    assert "vary" not in refused.headers
    assert cors(refused) == {}


def test_options_that_are_no_preflight_are_a_method_like_any_other(pages: Served) -> None:
    for headers in ({}, {"origin": PAGE}, {"access-control-request-method": "POST"}):
        assert pages.client.options("/v1/chat/completions", headers=headers).status_code == 405


def test_every_page_with_credentials_is_answered_by_name(engine: Served) -> None:
    policy = Policy(
        allowed_origins=("*",), allowed_methods=("POST",), allowed_headers=("X-One",), allow_credentials=True
    )
    with middleware(engine.port, policy=policy) as front:
        answer = ask(front, "POST", "/v1/completions", {"json": {"prompt": "a"}}, origin=OTHER)
        assert cors(answer) == {"access-control-allow-origin": OTHER, "access-control-allow-credentials": "true"}
        preflight = front.client.options("/x", headers={"origin": OTHER, "access-control-request-method": "PUT"})
        assert (preflight.status_code, preflight.text) == (400, "Disallowed CORS method")
        assert "X-One" in preflight.headers["access-control-allow-headers"]


def test_every_page_is_a_star(engine: Served) -> None:
    with middleware(engine.port, policy=Policy(allowed_origins=("*",))) as front:
        answer = ask(front, "POST", "/v1/completions", {"json": {"prompt": "a"}}, origin=OTHER)
        assert cors(answer) == {"access-control-allow-origin": "*"}


@pytest.mark.parametrize(("method", "path", "options"), EXCHANGES)
def test_the_id_is_on_every_answer(identified: Served, method: str, path: str, options: dict[str, Any]) -> None:
    echoed = ask(identified, method, path, options, **{"X-Request-Id": "mine 1"})
    assert echoed.headers.get_list("x-request-id") == ["mine 1"]
    made = ask(identified, method, path, options).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)


def test_the_id_is_on_a_401_and_on_a_preflight(identified: Served) -> None:
    refused = identified.post("/v1/completions", json={}, headers={"x-request-id": "a"})
    assert (refused.status_code, refused.headers["x-request-id"]) == (401, "a")
    preflight = identified.client.options("/v1/models", headers={"origin": PAGE, "x-request-id": "b", **ASKING})
    assert (preflight.status_code, preflight.headers["x-request-id"]) == (400, "b")


def test_without_the_flag_there_is_no_id(front: Served) -> None:
    assert "x-request-id" not in front.get("/health", headers={"x-request-id": "a"}).headers
