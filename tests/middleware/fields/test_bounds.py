"""What sampling may be asked for, with the server's defaults counted in; what the recordings do not hold is here."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.record import Table
from middleware.fields.responses import RESPONSES
from tests.middleware.fields.editing import edit, error, passes

ALL = pytest.mark.parametrize("table", [CHAT, COMPLETIONS, RESPONSES], ids=["chat", "completions", "responses"])
BOTH = pytest.mark.parametrize("table", [CHAT, COMPLETIONS], ids=["chat", "completions"])


@ALL
@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"top_k": 0}, {"top_k": -1}),
        ({"top_k": 2**31}, {"top_k": -1}),
        ({"top_k": 10**30}, {"top_k": -1}),
        ({"top_k": "0"}, {"top_k": -1}),
        ({"temperature": 0.001}, {"temperature": 0.01}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": "0.5"}, {"temperature": 0.5}),
        ({"stream": "yes"}, {"stream": True}),
        ({"stream": 1}, {"stream": True}),
    ],
)
def test_a_value_becomes_what_it_means_to_sglang(table: Table, body: dict[str, Any], sent: dict[str, Any]) -> None:
    assert edit(table, body) == sent


@ALL
@pytest.mark.parametrize(
    "body",
    [
        {"temperature": 2, "top_p": 1, "top_k": -1, "min_p": 1, "repetition_penalty": 2, "presence_penalty": -2},
        {"temperature": 0.01, "top_p": 0.001, "top_k": 5, "min_p": 0, "frequency_penalty": 2.0},
    ],
)
def test_what_is_within_the_bounds_keeps_its_bytes(table: Table, body: dict[str, Any]) -> None:
    assert passes(table, body)


@ALL
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"frequency_penalty": -2.5}, "frequency_penalty must be in [-2, 2], got -2.5."),
        ({"top_k": -5}, "top_k must be 0 (disable), or at least 1, got -5."),
        ({"min_p": -0.1}, "min_p must be in [0, 1], got -0.1."),
        ({"repetition_penalty": 2.1}, "SGLang knows no stronger one"),
    ],
)
def test_what_is_beyond_them_is_400(table: Table, body: dict[str, Any], words: str) -> None:
    assert words in error(table, body)["message"]


@BOTH
def test_several_greedy_answers_are_one_too_many_also_by_the_servers_default(table: Table) -> None:
    told = error(table, {"n": 2}, sampling_defaults={"temperature": 0})
    assert told["message"] == "n must be 1 when using greedy sampling, got 2."
    assert passes(table, {"n": 2, "temperature": 0.5})


def test_the_servers_defaults_are_held_against_the_bounds() -> None:
    assert "top_p must be in" in error(CHAT, {}, sampling_defaults={"top_p": 2})["message"]


@pytest.mark.parametrize(
    ("table", "body", "words"),
    [
        (CHAT, {"max_tokens": 0}, "max_tokens must be at least 1, got 0."),
        (CHAT, {"max_completion_tokens": 0, "max_tokens": 5}, "max_tokens must be at least 1, got 0."),
        (CHAT, {"min_tokens": -1}, "min_tokens must be greater than or equal to 0, got -1."),
        (COMPLETIONS, {"min_tokens": 17}, "min_tokens must be less than or equal to max_tokens=16, got 17."),
        (RESPONSES, {"max_output_tokens": 0}, "max_tokens must be at least 1, got 0."),
    ],
)
def test_the_length_of_an_answer(table: Table, body: dict[str, Any], words: str) -> None:
    assert words in error(table, body)["message"]


def test_an_answer_of_nothing_but_the_prompt_is_one_token_that_is_taken_away_again() -> None:
    assert edit(COMPLETIONS, {"echo": True, "max_tokens": 0}) == {"echo": True, "max_tokens": 1}
    assert edit(COMPLETIONS, {"max_tokens": None}) == {}


@BOTH
@pytest.mark.parametrize("stop", ["", [""], ["a", ""]])
def test_a_stop_string_is_not_empty(table: Table, stop: object) -> None:
    assert error(table, {"stop": stop})["message"] == "stop cannot contain an empty string."


@BOTH
@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"include_stop_str_in_output": True}, {"no_stop_trim": True}),
        ({"include_stop_str_in_output": False}, {}),
        ({"length_penalty": 2.5, "best_of": 3, "use_beam_search": False, "bad_words": []}, {}),
        ({"vllm_xargs": {"a": 1}, "kv_transfer_params": {"do_remote_decode": False}}, {}),
        ({"repetition_detection": {"max_pattern_size": 0}, "logits_processors": [], "logprob_token_ids": []}, {}),
        ({"thinking_token_budget": -1, "session_id": "s", "mm_payload": "none", "request_id": "a"}, {}),
        ({"seed": -1}, {}),
        ({"seed": 5}, {"seed": 5}),
    ],
)
def test_what_asks_for_nothing_is_dropped(table: Table, body: dict[str, Any], sent: dict[str, Any]) -> None:
    assert edit(table, body) == sent


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        {"use_beam_search": True},
        {"logits_processors": ["a.b"]},
        {"bad_words": ["a"]},
        {"allowed_token_ids": [1]},
        {"repetition_detection": {"max_pattern_size": 3, "min_count": 2}},
        {"thinking_token_budget": 5},
    ],
)
def test_what_would_change_the_answer_and_cannot_be_done_is_400(table: Table, body: dict[str, Any]) -> None:
    assert error(table, body)["type"] == "BadRequestError"
    assert "not supported" in error(table, body, reasoning_parser=True)["message"]


def test_documents_and_spaces_are_arguments_of_the_template() -> None:
    body = {"chat_template_kwargs": {"a": 1}, "documents": [{"text": "t"}], "spaces_between_special_tokens": False}
    assert edit(CHAT, body) == {
        "chat_template_kwargs": {"a": 1, "documents": [{"text": "t"}], "spaces_between_special_tokens": False}
    }
