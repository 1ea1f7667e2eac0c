"""--root-path: a path is served with the prefix and without, and guarded both ways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from middleware.policy import Policy
from middleware.root_path import without_root
from tests.middleware.conftest import KEYS
from tests.middleware.serving import Served, middleware
from tests.middleware.wire import head_of


@pytest.fixture(scope="module")
def prefixed(engine: Served) -> Iterator[Served]:
    with middleware(engine.port, policy=Policy(root_path="/api/llm"), api_keys=KEYS) as front:
        yield front


@pytest.mark.parametrize(
    ("raw", "path", "rest", "raw_rest"),
    [
        (b"/api/v1/models", "/api/v1/models", "/v1/models", b"/v1/models"),
        (b"/v1/models", "/v1/models", "/v1/models", b"/v1/models"),
        (b"/api/v1/models/a%2Fb", "/api/v1/models/a/b", "/v1/models/a/b", b"/v1/models/a%2Fb"),
        (b"/%61pi/v1/models/a%2Fb", "/api/v1/models/a/b", "/v1/models/a/b", b"/v1/models/a%2Fb"),
        (b"/api%2Fv1/models", "/api/v1/models", "/v1/models", b"%2Fv1/models"),
        (b"/apiv1/models", "/apiv1/models", "/apiv1/models", b"/apiv1/models"),
        (b"/api/api/v1", "/api/api/v1", "/api/v1", b"/api/v1"),
        (b"/api", "/api", "", b""),
    ],
)
def test_what_remains_of_a_path(raw: bytes, path: str, rest: str, raw_rest: bytes) -> None:
    inner = without_root({"path": path, "raw_path": raw}, "/api")
    assert (inner["path"], inner["raw_path"]) == (rest, raw_rest)


def test_without_a_prefix_the_scope_is_the_same() -> None:
    scope = {"path": "/api/v1", "raw_path": b"/api/v1"}
    assert without_root(scope, "") is scope


def test_both_ways_are_served(prefixed: Served) -> None:
    headers = {"authorization": f"Bearer {KEYS[0]}", "x-standin": "echo"}
    for prefix in ("", "/api/llm"):
        assert prefixed.get(f"{prefix}/version").status_code == 200
        assert prefixed.get(f"{prefix}/v1/models", headers=headers).status_code == 200
        echo = prefixed.get(f"{prefix}/api/tags?a=1", headers=headers).json()
        assert echo["target"] == "/api/tags"  # a query may hold a key, and SGLang logs it


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models",
        "/api/llm/v1/models",
        "/%61pi/llm/v1/models",
        "/api%2Fllm/v1/models",
        "/api/llm%2Fv1/models",
        "/api/llm/%76%31/models",
        "/api/llm/generate",
    ],
)
def test_no_way_leads_round_the_guard(prefixed: Served, path: str) -> None:
    answer = prefixed.raw(head_of(f"GET {path} HTTP/1.1", "connection: close"))
    assert answer.startswith(b"HTTP/1.1 401"), answer


@pytest.mark.parametrize("path", ["/api/llmv1/models", "/api/llm/api/llm/v1/models", "/api/llm", "/api/v1/models"])
def test_half_a_prefix_and_two_of_them_lead_nowhere(prefixed: Served, path: str) -> None:
    assert prefixed.get(path, headers={"authorization": f"Bearer {KEYS[0]}"}).status_code == 404


def test_a_redirect_keeps_the_prefix(prefixed: Served) -> None:
    answer = prefixed.get("/api/llm/version/?a=b", headers={"host": "h"})
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://h/api/llm/version?a=b"
