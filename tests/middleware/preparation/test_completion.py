"""Completions whose prompts are to be cut, or to have no special tokens: SGLang is sent ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.fields.tokens import LONG
from middleware.preparation.cut import RESERVED
from tests.middleware.preparation.engine import COMPLETIONS, CONTEXT, TOKENIZE, Asked, ids


def test_a_completion_that_both_read_alike_is_forwarded_as_it_came(asked: Asked) -> None:
    assert asked.complete("hello", add_special_tokens=True).status_code == 200
    assert asked.sent(COMPLETIONS)["prompt"] == "hello"
    assert not asked.engine.of(TOKENIZE)


@pytest.mark.parametrize(
    ("prompt", "fields", "sent"),
    [
        ("hello", {"add_special_tokens": False}, ids("hello")),
        (["a", "bc"], {"add_special_tokens": False}, [ids("a"), ids("bc")]),
        ("hello", {"truncate_prompt_tokens": 4}, [1, *ids("lo"), 2]),
        ("hello", {"truncate_prompt_tokens": 4, "truncation_side": "left"}, [*ids("llo"), 2]),
        ("hello", {"truncate_prompt_tokens": 4, "truncation_side": "right"}, [1, *ids("hel")]),
        ("hello", {"truncate_prompt_tokens": 2, "add_special_tokens": False}, ids("lo")),
        ("hello", {"truncate_prompt_tokens": 99}, [1, *ids("hello"), 2]),
        (["a", "hello"], {"truncate_prompt_tokens": 4}, [[1, *ids("a"), 2], [1, *ids("lo"), 2]]),
        ([5, 6, 7], {"truncate_prompt_tokens": 2}, [6, 7]),
        ([[5, 6, 7], [8]], {"truncate_prompt_tokens": 2, "truncation_side": "right"}, [[5, 6], [8]]),
        ([5, 6, 7], {"add_special_tokens": False}, [5, 6, 7]),
        ("hello", {"truncation_side": "left"}, "hello"),
    ],
)
def test_the_prompt_is_what_vllm_would_make_of_it(asked: Asked, prompt: Any, fields: dict[str, Any], sent: Any) -> None:
    answer = asked.complete(prompt, **fields)
    assert answer.status_code == 200, answer.text
    assert asked.sent(COMPLETIONS)["prompt"] == sent
    assert not fields.keys() & asked.sent(COMPLETIONS).keys()


@pytest.mark.parametrize(("fields", "length"), [({}, CONTEXT - RESERVED), ({"max_tokens": None}, CONTEXT)])
def test_a_cut_as_long_as_the_context_leaves_room_unless_no_length_is_asked_for(
    asked: Asked, fields: dict[str, Any], length: int
) -> None:
    answer = asked.complete("x" * 5000, truncate_prompt_tokens=-1, **fields)
    if length == CONTEXT:
        assert answer.json()["error"]["message"].startswith("max_tokens must be at least 1, got 0.")
        return
    assert answer.status_code == 200
    assert len(asked.sent(COMPLETIONS)["prompt"]) == length
    assert asked.sent(COMPLETIONS)["max_tokens"] == RESERVED


def test_an_empty_prompt_is_refused(asked: Asked) -> None:
    for prompt in ("hello", [5, 6]):
        answer = asked.complete(prompt, truncate_prompt_tokens=0)
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "The decoder prompt cannot be empty")


def test_an_echo_in_a_stream_comes_with_the_prompts_ids(asked: Asked) -> None:
    asked.complete("hello", echo=True, stream=True)
    assert asked.sent(COMPLETIONS)["return_token_ids"] is True
    asked.complete("hello", echo=True)
    assert "return_token_ids" not in asked.sent(COMPLETIONS)


def test_a_long_list_of_ids_is_checked_before_it_is_sent(asked: Asked) -> None:
    prompt = [1] * LONG
    assert asked.complete(prompt).status_code == 200
    assert asked.sent(COMPLETIONS)["prompt"] == prompt
    asked.engine.asked.clear()
    answer = asked.complete([*prompt, -1])
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "Bad Request")
    deep = b"[" * 20_000 + b"1" + b"]" * 20_000
    raw = b'{"prompt":[' + json.dumps(prompt).encode()[1:-1] + b"," + deep + b"]}"
    answer = asked.front.post(COMPLETIONS, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert not asked.engine.asked
