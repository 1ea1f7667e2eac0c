"""A table walked over a request: what the tests give is added to the least that a request of its kind must have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.errors import Refused
from middleware.fields.edit import Editor
from middleware.fields.record import Table
from middleware.policy import Policy
from tests.middleware.fields.serving import bound

HI = [{"role": "user", "content": "hi"}]
LEAST: dict[str, dict[str, Any]] = {
    "chat": {"messages": HI},
    "completions": {"prompt": "hi"},
    "responses": {"input": "hi"},
    "stored_responses": {"input": "hi"},
}


def edit(table: Table, body: dict[str, Any], **policy: Any) -> dict[str, Any]:
    """What became of the fields that the body gives; what every request must have is not in it."""
    edited: dict[str, Any] = json.loads(_editor(table, policy)(_whole(table, body)))
    least = LEAST.get(table.name, {})
    return {name: value for name, value in edited.items() if name in body or least.get(name) != value}


def passes(table: Table, body: dict[str, Any], **policy: Any) -> bool:
    """Whether it goes on byte for byte."""
    sent = _whole(table, body)
    return _editor(table, policy)(sent) is sent


def error(table: Table, body: dict[str, Any], **policy: Any) -> dict[str, Any]:
    status, told = refusal(table, body, **policy)
    assert status == 400, told
    return told


def refusal(table: Table, body: dict[str, Any], **policy: Any) -> tuple[int, dict[str, Any]]:
    with pytest.raises(Refused) as caught:
        _editor(table, policy)(_whole(table, body))
    response = caught.value.response
    told: dict[str, Any] = json.loads(bytes(response.body))["error"]
    assert told["code"] == response.status_code
    return response.status_code, told


def _editor(table: Table, policy: dict[str, Any]) -> Editor:
    return Editor(bound(table), frozenset(), Policy(**policy))


def _whole(table: Table, body: dict[str, Any]) -> bytes:
    return json.dumps({**LEAST.get(table.name, {}), **body}).encode()
