"""What is asked of /v1/responses alone, and refusals in the envelope of /v1/messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.errors import Refused
from middleware.fields.edit import Editor
from middleware.fields.others import COUNTED, MESSAGES
from middleware.fields.record import Table
from middleware.fields.responses import RESPONSES
from middleware.policy import Policy
from tests.middleware.fields.editing import HI, edit, refusal
from tests.middleware.fields.serving import Recorded, bound


def test_sglang_is_asked_for_the_two_tokens_that_it_takes_away() -> None:
    assert edit(RESPONSES, {"max_output_tokens": 1}) == {"max_output_tokens": 3}
    assert edit(RESPONSES, {"max_output_tokens": "30"}) == {"max_output_tokens": 32}
    assert edit(RESPONSES, {}) == {}
    assert edit(RESPONSES, {"max_output_tokens": None}) == {}


def test_where_nothing_is_stored_there_is_no_earlier_response() -> None:
    status, told = refusal(RESPONSES, {"previous_response_id": "resp_a"})
    assert (status, told["type"], told["param"]) == (404, "invalid_request_error", "response_id")
    body = {"previous_response_id": "resp_a"}
    assert edit(RESPONSES, body, response_store=True) == body


def test_where_nothing_is_stored_there_is_no_work_in_the_background() -> None:
    status, told = refusal(RESPONSES, {"background": True})
    assert (status, told["type"], told["param"]) == (400, "invalid_request_error", "background")
    assert edit(RESPONSES, {"background": True}, response_store=True) == {"background": True}


def anthropics(table: Table, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    editor = Editor(bound(table, Recorded()), frozenset(), Policy())
    with pytest.raises(Refused) as caught:
        editor(json.dumps(body).encode())
    response = caught.value.response
    return response.status_code, json.loads(bytes(response.body))


@pytest.mark.parametrize("table", [MESSAGES, COUNTED])
def test_a_model_that_is_not_served_is_told_in_anthropics_envelope(table: Table) -> None:
    status, told = anthropics(table, {"model": "nobody", "messages": HI, "max_tokens": 5})
    assert status == 404
    assert told["type"] == "error"
    assert list(told["error"]) == ["type", "message"]
    assert told["error"]["type"] == "not_found_error"


def test_what_does_not_fit_the_schema_is_told_as_everywhere() -> None:
    status, told = anthropics(MESSAGES, {"model": "smollm2-135m", "messages": HI})
    assert status == told["error"]["code"] == 400


@pytest.mark.parametrize(("budget", "fits"), [(4, True), (5, False), (1024, False), (None, True), ("x", True)])
def test_thoughts_leave_room_for_an_answer(budget: object, fits: bool) -> None:
    body = {"model": "smollm2-135m", "messages": HI, "max_tokens": 5,
            "thinking": {"type": "enabled", "budget_tokens": budget}}  # fmt: skip
    if fits:
        Editor(bound(MESSAGES), frozenset(), Policy())(json.dumps(body).encode())
    else:
        message = anthropics(MESSAGES, body)[1]["error"]["message"]
        assert "thinking.budget_tokens must be less than max_tokens" in message
