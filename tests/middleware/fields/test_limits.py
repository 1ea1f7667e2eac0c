"""What one request may ask for, told in vLLM's words; the words are recorded from a real vLLM where `recorded` says."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.record import Table
from middleware.fields.responses import RESPONSES
from tests.middleware.fields.editing import edit, error, passes

BOTH = pytest.mark.parametrize("table", [CHAT, COMPLETIONS], ids=["chat", "completions"])


@BOTH
def test_sequences_as_recorded(table: Table) -> None:
    assert error(table, {"n": 20000}) == {
        "message": "n must be at most 16384, got 20000. "
        "To increase this limit, set the VLLM_MAX_N_SEQUENCES environment variable.",
        "type": "BadRequestError",
        "param": None,
        "code": 400,
    }
    assert error(table, {"n": 0})["message"] == "n must be at least 1, got 0."
    assert error(table, {"n": -1})["message"] == "n must be at least 1, got -1."


@BOTH
def test_the_number_of_sequences_is_the_operators(table: Table) -> None:
    for wanted in (5, 5.0, "5", " 5 "):
        assert "at most 4, got 5" in error(table, {"n": wanted}, max_n=4)["message"]
    assert error(table, {"n": "5" * 400}, max_n=4)
    assert error(table, {"n": 1e300}, max_n=4)
    assert passes(table, {"n": 4}, max_n=4)


@pytest.mark.parametrize("table", [CHAT, COMPLETIONS, RESPONSES], ids=["chat", "completions", "responses"])
def test_stop_strings_as_recorded(table: Table) -> None:
    assert error(table, {"stop": ["a1", "b1", "c1", "d1", "e1"]}) == {
        "message": "2 validation errors:\n  {'type': 'string_type', 'loc': 'body.stop', "
        "'msg': 'Input should be a valid string', 'input': '<list of 5 items>'}\n  {'type': 'too_long', "
        "'loc': 'body.stop', 'msg': 'List should have at most 4 items after validation, not 5', "
        "'input': '<list of 5 items>', 'ctx': {'field_type': 'List', 'max_length': 4, 'actual_length': 5}}",
        "type": "Bad Request",
        "param": "body.stop",
        "code": 400,
    }
    for stop in (["a"] * 4, "aaaaaaa", []):
        assert passes(table, {"stop": stop})
    assert edit(table, {"stop": None}) == {}
    assert passes(table, {"stop": ["a"] * 5}, max_stop_strings=5)


@pytest.mark.parametrize("prompts", [["a,b"] * 3, [[1, 2], [3], [4]]])
def test_too_many_prompts(prompts: list[Any]) -> None:
    assert error(COMPLETIONS, {"prompt": prompts}, max_completion_prompts=2) == {
        "message": "prompt list length 3 exceeds the maximum allowed count of 2. To increase this limit, "
        "set the VLLM_MAX_COMPLETION_PROMPTS environment variable. (parameter=prompt)",
        "type": "BadRequestError",
        "param": "prompt",
        "code": 400,
    }
    assert passes(COMPLETIONS, {"prompt": prompts}, max_completion_prompts=3)


@pytest.mark.parametrize("prompt", ["a,b,c,d", [1, 2, 3, 4], ["a,b,c,d"], [[1, 2, 3, 4]]])
def test_one_prompt_is_one_however_long(prompt: object) -> None:
    assert passes(COMPLETIONS, {"prompt": prompt}, max_completion_prompts=1)


def test_vllms_defaults() -> None:
    assert passes(COMPLETIONS, {"prompt": ["a"] * 1024, "n": 16384, "stop": ["a"] * 4, "logprobs": 20})
    assert "1025 exceeds" in error(COMPLETIONS, {"prompt": ["a"] * 1025})["message"]


def test_a_priority_is_nobodys_error() -> None:
    """vLLM 0.33.0 and SGLang ignore it without priority scheduling: recorded."""
    assert passes(CHAT, {"priority": 3})


TOO_MANY = "Requested {} logprobs of {}, which is greater than max allowed: 20 (parameter={}, value={})"


@pytest.mark.parametrize(
    ("table", "body", "kind", "shown", "param", "value"),
    [
        (CHAT, {"logprobs": True, "top_logprobs": 1000}, "sample", "1000", "logprobs", 1000),
        (CHAT, {"logprobs": True, "top_logprobs": -1}, "sample", "the whole vocabulary", "logprobs", -1),
        (CHAT, {"prompt_logprobs": 21}, "prompt", "21", "prompt_logprobs", 21),
        (COMPLETIONS, {"logprobs": 100000}, "sample", "100000", "logprobs", 100000),
        (COMPLETIONS, {"logprobs": -1}, "sample", "the whole vocabulary", "logprobs", -1),
        (COMPLETIONS, {"prompt_logprobs": 21}, "prompt", "21", "prompt_logprobs", 21),
        (RESPONSES, {"top_logprobs": 21}, "sample", "21", "logprobs", 21),
    ],
)
def test_too_many_logprobs_as_recorded(
    table: Table, body: dict[str, Any], kind: str, shown: str, param: str, value: int
) -> None:
    assert error(table, body) == {
        "message": TOO_MANY.format(kind, shown, param, value),
        "type": "BadRequestError",
        "param": param,
        "code": 400,
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"top_logprobs": "x"}, "`top_logprobs` must be an integer. (parameter=top_logprobs, value=x)"),
        ({"prompt_logprobs": "x"}, "`prompt_logprobs` must be an integer. (parameter=prompt_logprobs, value=x)"),
        (
            {"prompt_logprobs": 1, "stream": True},
            "`prompt_logprobs` are not available when `stream=True`. (parameter=prompt_logprobs)",
        ),
        ({"top_logprobs": -2}, "`top_logprobs` must be a positive value or -1. (parameter=top_logprobs, value=-2)"),
    ],
)
def test_what_is_no_number_of_logprobs_as_recorded(body: dict[str, Any], message: str) -> None:
    assert error(CHAT, body)["message"] == message


@pytest.mark.parametrize(
    ("table", "body"),
    [
        (CHAT, {"logprobs": True, "top_logprobs": 20}),
        (CHAT, {"logprobs": False, "top_logprobs": 0}),
        (COMPLETIONS, {"logprobs": 20}),
        (COMPLETIONS, {"logprobs": 0}),
    ],
)
def test_as_many_logprobs_as_are_allowed_pass(table: Table, body: dict[str, Any]) -> None:
    assert passes(table, body)


def test_logprobs_of_the_prompt_are_to_be_had_of_completions_alone() -> None:
    for wanted in (0, 1):
        assert "not supported" in error(CHAT, {"prompt_logprobs": wanted})["message"]
        assert edit(COMPLETIONS, {"prompt_logprobs": wanted}) == {}


def test_an_echoed_prompt_has_logprobs_only_if_some_are_asked_for() -> None:
    assert edit(COMPLETIONS, {"echo": True, "logprobs": 0}) == {"echo": True, "logprobs": 1}


def test_without_a_limit_all_of_them_are_still_not_to_be_had() -> None:
    """SGLang 0.5.23 answers 200 without any."""
    assert passes(CHAT, {"logprobs": True, "top_logprobs": 50000}, max_logprobs=-1)
    assert "not to be had" in error(CHAT, {"logprobs": True, "top_logprobs": -1}, max_logprobs=-1)["message"]


def test_the_vocabulary_is_a_limit_of_its_own() -> None:
    asked = {"logprobs": True, "top_logprobs": 50000}
    told = error(CHAT, asked, max_logprobs=-1, vocab_size=49152)
    assert told["message"] == TOO_MANY.format("sample", 50000, "logprobs", 50000).replace("20", "49152", 1)
    told = error(CHAT, {"logprobs": True, "top_logprobs": -1}, vocab_size=49152)
    assert told["message"] == TOO_MANY.format("sample", 49152, "logprobs", 49152)
