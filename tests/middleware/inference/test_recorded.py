"""Exchanges with a real vLLM 0.33.0, replayed over what a real SGLang generated for the same prompt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.middleware.inference.engine import HERE, PATH, chunks, serving
from tests.middleware.serving import Served

EXCHANGES = json.loads((HERE / "vllm.json").read_text())
OF_EARLIER = ("token", "bytes")  # of vLLM 0.31, besides


@pytest.fixture(scope="module")
def front() -> Iterator[Served]:
    with serving() as (served, _):
        yield served


def replayed(front: Served, exchange: dict[str, Any]) -> Any:
    answer = front.client.post(PATH, json=exchange["json"], headers=exchange["headers"])
    assert answer.status_code == exchange["status"], answer.text
    return answer


def same(ours: Any, theirs: Any, key: str = "") -> bool:
    """Keys and their order, and values but for the sampled numbers."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        ours = {name: value for name, value in ours.items() if name not in OF_EARLIER}
        assert list(ours) == list(theirs)
        return all(same(ours[name], value, name) for name, value in theirs.items())
    if isinstance(theirs, list) and isinstance(ours, list):
        if key != "token_ids":  # A seed is not the same in both.
            assert len(ours) == len(theirs), key
        return all(same(one, other, key) for one, other in zip(ours, theirs, strict=False))
    if key in ("created", "logprob", "token_ids", "rank") or (key == "request_id" and len(str(theirs)) > 25):
        assert type(ours) is type(theirs), (key, ours, theirs)
        return True
    assert ours == theirs, key
    return True


@pytest.mark.parametrize("exchange", [e for e in EXCHANGES if not e["json"].get("stream")], ids=lambda e: e["name"])
def test_an_answer_is_vllms(front: Served, exchange: dict[str, Any]) -> None:
    assert same(replayed(front, exchange).json(), json.loads(exchange["body"]))


@pytest.mark.parametrize("exchange", [e for e in EXCHANGES if e["json"].get("stream")], ids=lambda e: e["name"])
def test_a_stream_is_vllms(front: Served, exchange: dict[str, Any]) -> None:
    answer = replayed(front, exchange)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert same(chunks(answer.text), chunks(exchange["body"]))


def test_greedy_tokens_are_those_of_vllm(front: Served) -> None:
    """The same model, the same prompt: the recordings are of one and the same thing."""
    exchange = next(e for e in EXCHANGES if e["name"] == "v_inf_generate")
    ours, theirs = replayed(front, exchange).json(), json.loads(exchange["body"])
    assert ours["choices"][0]["token_ids"] == theirs["choices"][0]["token_ids"]
