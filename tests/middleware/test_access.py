"""API keys: what they guard, how they are given, and that an open server asks for none."""

from __future__ import annotations

import pytest

from middleware.access import Keys
from middleware.router import Router
from middleware.routes import ROUTES
from tests.middleware.conftest import KEYS
from tests.middleware.serving import Served

ROUTER = Router(ROUTES)


def allowed(path: str, authorization: bytes | None, *, method: str = "POST", keys: tuple[str, ...] = KEYS) -> bool:
    headers = [] if authorization is None else [(b"authorization", authorization)]
    return Keys(keys).allow(method, path, ROUTER.find(path), headers)


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1", "/v1x", "/v2/rerank", "/inference/v1/generate", "/cohere/v2/chat"]
)
def test_vllms_prefixes_are_guarded_known_or_not(path: str) -> None:
    assert not allowed(path, None)
    assert allowed(path, b"Bearer sk-one")


@pytest.mark.parametrize("path", ["/generate", "/encode", "/api/chat", "/vertex_generate"])
def test_sglangs_own_routes_are_guarded(path: str) -> None:
    assert not allowed(path, None)
    assert allowed(path, b"Bearer sk-two")


@pytest.mark.parametrize("path", ["/health", "/ping", "/version", "/metrics", "/tokenize", "/detokenize", "/nope"])
def test_what_vllm_leaves_open_is_open(path: str) -> None:
    assert allowed(path, None)


@pytest.mark.parametrize(
    ("authorization", "known"),
    [
        (b"Bearer sk-one", True),
        (b"bearer sk-two", True),
        (b"BEARER sk-one", True),
        (b"Bearer  sk-one", False),
        (b"Bearer sk-one ", False),
        (b"Bearer sk-on", False),
        (b"Bearer sk-onee", False),
        (b"Bearer", False),
        (b"Bearer ", False),
        (b"sk-one", False),
        (b"Basic sk-one", False),
        (b"Bearer \xff", False),
        (b"", False),
    ],
)
def test_how_a_key_is_given(authorization: bytes, known: bool) -> None:
    assert allowed("/v1/models", authorization) is known


def test_options_passes_without_a_key() -> None:
    assert allowed("/v1/models", None, method="OPTIONS")


@pytest.mark.parametrize("authorization", [None, b"Bearer None", b"Bearer anything", b""])
def test_without_keys_any_authorization_is_ignored(authorization: bytes | None) -> None:
    assert allowed("/v1/models", authorization, keys=())


def test_the_engine_never_sees_an_authorization(front: Served, guarded: Served) -> None:
    for server, key in ((front, "None"), (guarded, KEYS[1])):
        headers = {"authorization": f"Bearer {key}", "x-standin": "echo"}
        answer = server.post("/generate", json={}, headers=headers)
        assert answer.status_code == 200
        assert "authorization" not in dict(answer.json()["headers"])


def test_an_encoded_path_does_not_go_round_the_guard(guarded: Served) -> None:
    assert guarded.raw(b"GET /%76%31/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 401"
    )


def test_an_opened_admin_route_needs_a_key(guarded: Served) -> None:
    assert guarded.post("/flush_cache").status_code == 401
    headers = {"authorization": f"Bearer {KEYS[0]}", "x-standin": "echo"}
    assert guarded.post("/flush_cache", headers=headers).status_code == 200
