"""What is no JSON object is refused; how, the recordings of vLLM say, and here is what they do not hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.repair.guards import DIAGNOSED_BYTES, not_an_object, require_json, too_large


def message(body: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(bytes(not_an_object(body).response.body))["error"]
    return error


@pytest.mark.parametrize("value", [b"application/json", b"Application/JSON; charset=utf-8", b" application/json ;x=y"])
def test_json_is_json_in_any_case_and_with_parameters(value: bytes) -> None:
    require_json([(b"content-type", value)])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"null", "'msg': 'Field required'"),
        (b"true", "'input': 'True'"),
        (b"1.5", "'input': '1.5'"),
        (b'"' + b"x" * 1000 + b'"', "'input': '" + "x" * 200 + "...[truncated]'"),
        (b'"\\ud83d"', "\\ud83d"),
        (b'{"a":{"b":NaN}}', "Not valid JSON in UTF-8"),
        (b'{"a":"\\ud83d"}', "half of a character"),
        ('{"a":1}'.encode("utf-16"), "Not valid JSON in UTF-8"),
        (b" ", "Expecting value"),
        (b"[" * 5000, "Nested too deeply"),
        (b"1" * 5000, "Not a valid JSON object"),
    ],
)
def test_the_reason_is_given(body: bytes, words: str) -> None:
    assert words in message(body)["message"]


def test_a_large_body_is_not_read_twice() -> None:
    assert message(b"[" + b" " * DIAGNOSED_BYTES)["param"] == "body.0"


def test_too_large_is_413_in_vllms_shape() -> None:
    response = too_large(10).response
    assert response.status_code == 413
    assert json.loads(bytes(response.body))["error"]["code"] == 413
