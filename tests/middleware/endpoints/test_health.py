"""/health, /ping and /ready of the middleware alone: what each state answers, to whom, and under which path."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from middleware.context import Context
from middleware.endpoints.health import health, ready
from middleware.engine import Engine, State
from tests.middleware.endpoints.policies import Switched
from tests.middleware.serving import Served, free_port, middleware

PROBES = (("GET", "/health"), ("GET", "/ping"), ("POST", "/ping"), ("GET", "/ready"))


@pytest.mark.parametrize(("method", "path"), PROBES)
def test_an_engine_that_serves_is_200_without_a_body_and_without_a_key(method: str, path: str, guarded: Served) -> None:
    answer = guarded.client.request(method, path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(("method", "path"), [("POST", "/health"), ("POST", "/ready"), ("HEAD", "/ready")])
def test_other_methods_are_not_there(method: str, path: str, front: Served) -> None:
    assert front.client.request(method, path).status_code == 405


@pytest.mark.parametrize("prefix", ["", "/deep/root"])
def test_without_an_engine_each_is_503_under_any_path(prefix: str) -> None:
    with middleware(free_port(), wait_ready=False, policy=Switched(root_path="/deep/root")) as front:
        for method, path in PROBES:
            answer = front.client.request(method, prefix + path)
            assert answer.status_code == 503
            assert answer.json()["error"]["type"] == "ServiceUnavailableError"


@pytest.mark.parametrize(("state", "why"), [(State.PAUSED, "paused"), (State.ASLEEP, "asleep")])
def test_a_paused_engine_is_alive_and_not_ready_and_says_why(state: State, why: str) -> None:
    engine = Engine()
    engine.become(State.READY, "it serves a model")
    engine.become(state, "training")
    context = cast("Context", SimpleNamespace(engine=engine))
    request = cast("Request", None)
    alive = asyncio.run(health(context, request))
    admits = asyncio.run(ready(context, request))
    assert (alive.status_code, bytes(alive.body)) == (200, b"")
    assert admits.status_code == 503
    error: dict[str, Any] = json.loads(bytes(admits.body))["error"]
    assert error["code"] == 503
    assert why in error["message"]
