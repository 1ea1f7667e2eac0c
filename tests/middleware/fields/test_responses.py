"""What is asked of /v1/responses alone."""

from __future__ import annotations

from middleware.fields.responses import RESPONSES, STORED
from tests.middleware.fields.editing import edit, refusal


def test_sglang_is_asked_for_the_two_tokens_that_it_takes_away() -> None:
    assert edit(STORED, {"max_output_tokens": 1}) == {"max_output_tokens": 3}
    assert edit(STORED, {"max_output_tokens": "30"}) == {"max_output_tokens": 32}
    assert edit(STORED, {}) == {}
    assert edit(STORED, {"max_output_tokens": None}) == {}


def test_where_nothing_is_stored_there_is_no_earlier_response() -> None:
    status, told = refusal(RESPONSES, {"previous_response_id": "resp_a"})
    assert (status, told["type"], told["param"]) == (404, "invalid_request_error", "response_id")
    body = {"previous_response_id": "resp_a"}
    assert edit(STORED, body, response_store=True) == body


def test_where_nothing_is_stored_there_is_no_work_in_the_background() -> None:
    status, told = refusal(RESPONSES, {"background": True})
    assert (status, told["type"], told["param"]) == (400, "invalid_request_error", "background")
    assert edit(STORED, {"background": True}, response_store=True) == {"background": True}
