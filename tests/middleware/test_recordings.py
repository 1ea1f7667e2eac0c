"""A real vLLM 0.33.0 was recorded; what it answers without looking into the model, the middleware must answer too."""

from __future__ import annotations

import json
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from middleware.policy import Policy
from tests.middleware.conftest import KEYS
from tests.middleware.serving import PATIENCE, Served, middleware

RECORDINGS = Path(__file__).parent / "recordings"


def recorded(name: str) -> list[Any]:
    exchanges = json.loads((RECORDINGS / f"{name}.json").read_text())
    return [pytest.param(exchange, id=exchange["name"]) for exchange in exchanges]


def replay(server: Served, request: dict[str, Any]) -> tuple[int, Message, str]:
    """By http.client: what httpx would not send is in the recordings too."""
    content = json.dumps(request["json"]) if request.get("json") is not None else request.get("raw_body")
    headers = {name: value.replace("sk-test", KEYS[0]) for name, value in request["headers"].items()}
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    try:
        connection.request(request["method"], request["path"], body=content, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def assert_same(answer: tuple[int, Message, str], expected: dict[str, Any]) -> None:
    status, headers, body = answer
    assert status == expected["status"], body
    for name in ("content-type", "allow", "content-length"):
        if name != "content-length" or not _tells_its_dataclass(expected["body"]):
            assert headers.get(name) == expected["headers"].get(name)
    if body and headers.get("content-type") == "application/json":
        ours, theirs = json.loads(body), json.loads(expected["body"])
        if _tells_its_dataclass(expected["body"]):
            ours["error"].pop("message")
            theirs["error"].pop("message")
        assert ours == theirs
    else:
        assert body == expected["body"]


def assert_same_heads(answer: tuple[int, Message, str], expected: dict[str, Any]) -> None:
    """What vLLM's own middlewares add; an id that was made up is another one each time."""
    _, headers, _ = answer
    theirs = dict(expected["headers"])
    ours = {name: headers.get(name) for name in theirs}
    if not theirs.get("x-request-id", "rid").startswith("rid"):
        assert len(ours.pop("x-request-id") or "") == len(theirs.pop("x-request-id"))
    assert ours == theirs
    assert {name for name in headers if name.startswith("access-control-")} <= set(theirs)


def _tells_its_dataclass(body: str) -> bool:
    return "structured outputs constraint but" in body


@pytest.mark.parametrize("exchange", recorded("vllm_open"))
def test_an_open_server_answers_as_vllm_does(front: Served, exchange: dict[str, Any]) -> None:
    assert_same(replay(front, exchange["request"]), exchange["response"])


@pytest.mark.parametrize("exchange", recorded("vllm_guarded"))
def test_a_server_with_keys_answers_as_vllm_does(guarded: Served, exchange: dict[str, Any]) -> None:
    assert_same(replay(guarded, exchange["request"]), exchange["response"])


@pytest.mark.parametrize("exchange", recorded("vllm_policy"))
def test_a_server_without_flags_is_as_strict_as_vllm(front: Served, exchange: dict[str, Any]) -> None:
    answer = replay(front, exchange["request"])
    assert_same(answer, exchange["response"])
    assert_same_heads(answer, exchange["response"])


@pytest.mark.parametrize("exchange", recorded("vllm_request_id"))
def test_a_server_with_request_ids_answers_as_vllm_does(engine: Served, exchange: dict[str, Any]) -> None:
    policy = Policy(request_id_headers=True)
    with middleware(engine.port, policy=policy, api_keys=KEYS) as front:
        answer = replay(front, exchange["request"])
    assert_same(answer, exchange["response"])
    assert_same_heads(answer, exchange["response"])
