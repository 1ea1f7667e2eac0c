"""Exchanges with a real vLLM 0.33.0, and whether an answer is the same but for what is the model's or the moment's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.middleware.serving import Served

# Other at each time, or for another model, machine or server.
LOOSE = ("id", "created", "score", "relevance_score", "embedding", "prompt_tokens", "total_tokens", "probs")


def recorded(name: str, *, without: tuple[str, ...] = ()) -> list[Any]:
    exchanges = json.loads((Path(__file__).parent / f"{name}.json").read_text())
    return [pytest.param(each, id=each["name"]) for each in exchanges if each["name"] not in without]


def replay(server: Served, exchange: dict[str, Any]) -> httpx.Response:
    asked = exchange["request"]
    content = json.dumps(asked["json"]) if "json" in asked else asked.get("raw_body", "")
    return server.client.request(asked["method"], asked["path"], content=content, headers=asked["headers"])


def assert_same(answer: httpx.Response, exchange: dict[str, Any], *, words: bool = True) -> None:
    expected = exchange["response"]
    assert answer.status_code == expected["status"], answer.text
    assert answer.headers.get("content-type") == expected["content-type"]
    if "json" in expected:
        assert list(_keys(answer.json())) == list(_keys(expected["json"]))
        ours, theirs = loosened(answer.json()), loosened(expected["json"])
        if not words:
            ours["error"].pop("message")
            theirs["error"].pop("message")
        assert ours == theirs
    elif "body" in expected:
        assert answer.text == expected["body"]


def loosened(value: Any) -> Any:
    """What is loose, as its kind alone."""
    if isinstance(value, dict):
        return {
            key: type(item).__name__ if key in LOOSE or (key == "data" and not _objects(item)) else loosened(item)
            for key, item in value.items()
        }
    return [loosened(item) for item in value] if isinstance(value, list) else value


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _keys(value: Any) -> list[str]:
    """In their order: a client may print them."""
    return list(value) if isinstance(value, dict) else []
