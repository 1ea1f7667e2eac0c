"""The items of `input` as messages of a chat, each as vLLM 0.33.0 puts them together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.errors import Refused
from middleware.responses.items import goes_on, messages

USER = {"role": "user", "content": "hi"}
THOUGHT = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see."}]}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
CHATS_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
DONE = {"type": "function_call_output", "call_id": "c1", "output": "42"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("hi", [USER]),
        ([], []),
        ([USER], [USER]),
        ([{**USER, "type": "message", "status": "completed"}], [USER]),
        ([{"role": "developer", "content": "Be brief."}], [{"role": "developer", "content": "Be brief."}]),
        # The parts stay parts: chat joins them as vLLM does.
        (
            [{"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]}],
            [{"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]}],
        ),
        # A last word of the assistant's is its own, and no user's.
        ([USER, {"role": "assistant", "content": "Hello"}], [USER, {"role": "assistant", "content": "Hello"}]),
        (
            [USER, THOUGHT, SAID, CALL, {**CALL, "call_id": "c2"}, DONE],
            [
                USER,
                {
                    "role": "assistant",
                    "reasoning": "hm",
                    "content": "Let me see.",
                    "tool_calls": [CHATS_CALL, {**CHATS_CALL, "id": "c2"}],
                },
                {"role": "tool", "content": "42", "tool_call_id": "c1"},
            ],
        ),
        ([CALL, CALL], [{"role": "assistant", "tool_calls": [CHATS_CALL, CHATS_CALL]}]),
        ([SAID, SAID], [{"role": "assistant", "content": "Let me see."}] * 2),
        (
            [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]}],
            [{"role": "assistant", "reasoning": "so"}],
        ),
        (
            [{**CALL, "namespace": "n"}],
            [{"role": "assistant", "tool_calls": [{**CHATS_CALL, "function": {"name": "n__f", "arguments": "{}"}}]}],
        ),
        (
            [{"type": "custom_tool_call", "call_id": "c1", "name": "f", "input": "é"}],
            [
                {
                    "role": "assistant",
                    "tool_calls": [{**CHATS_CALL, "function": {"name": "f", "arguments": '{"input": "é"}'}}],
                }
            ],
        ),
    ],
)
def test_items_become_messages(given: Any, said: list[dict[str, Any]]) -> None:
    before = json.dumps(given)
    assert messages(None, given) == said
    assert messages("Be brief.", given) == [{"role": "system", "content": "Be brief."}, *said]
    assert json.dumps(given) == before


@pytest.mark.parametrize(
    ("item", "words", "param"),
    [
        ({"type": "bogus"}, "Unsupported input item type: bogus (parameter=input)", "input"),
        ({}, "Unsupported input item type: None (parameter=input)", "input"),
        ({"type": ["a"]}, "Unsupported input item type: ['a'] (parameter=input)", "input"),
        ({**THOUGHT, "encrypted_content": "x"}, "Encrypted content is not supported. (parameter=input)", "input"),
        ("hi", "Input should be a valid dictionary", "body.input.1"),
        ({"role": "tool", "content": "x"}, "Input should be 'user', 'assistant', 'system' or", "body.input.1.role"),
        ({"role": "user"}, "Field required", "body.input.1.content"),
        ({"role": "user", "content": 5}, "Input should be a valid string", "body.input.1.content"),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "Field required", "body.input.1.call_id"),
        ({**CALL, "arguments": {}}, "Input should be a valid string", "body.input.1.arguments"),
        ({**DONE, "output": None}, "Input should be a valid string", "body.input.1.output"),
    ],
)
def test_what_is_no_item_is_told_in_one_sentence(item: Any, words: str, param: str) -> None:
    with pytest.raises(Refused) as caught:
        messages(None, [USER, item])
    told = json.loads(bytes(caught.value.response.body))["error"]
    assert words in told["message"]
    assert (told["code"], told["param"]) == (400, param)
    assert "None\n" not in told["message"]


@pytest.mark.parametrize(
    ("given", "does"),
    [
        ("hi", False),
        ([], False),
        ([USER, SAID], False),
        ([USER, {**SAID, "status": "incomplete"}], True),
        ([USER, {"role": "assistant", "content": "He", "status": "in_progress"}], True),
        ([USER, {**CALL, "status": "incomplete"}], False),
    ],
)
def test_an_answer_that_was_not_finished_goes_on(given: Any, does: bool) -> None:
    assert goes_on(given) is does
