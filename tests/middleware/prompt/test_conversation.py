"""Messages as the template sees them."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.prompt.conversation import conversation
from middleware.prompt.failures import BadPrompt, CannotRender

CALL = {"type": "function", "index": 0, "id": "1", "function": {"name": "f", "x": 1, "arguments": '{"a": 1.0}'}}


def seen(message: Any, content_format: Any = "string") -> dict[str, Any]:
    (result,) = conversation([message], content_format)
    return result


def test_text_parts_are_joined_by_newlines_or_kept() -> None:
    parts = ["a", {"type": "text", "text": "b", "cache_control": {}}, {"type": "refusal", "refusal": "c"}]
    message = {"role": "user", "content": parts}
    assert seen(message)["content"] == "a\nb\nc"
    assert seen(message, "openai")["content"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {}},
        {"type": "text", "text": "c"},
    ]
    assert seen({"role": "user", "content": "a"}, "openai")["content"] == [{"type": "text", "text": "a"}]


def test_a_tools_answer_is_always_one_text() -> None:
    message = {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "a"}, "b"]}
    assert seen(message, "openai") == {"role": "tool", "content": "a\nb", "tool_call_id": "1"}
    reference = {"role": "tool", "content": [{"type": "tool_reference", "name": "f"}]}
    assert seen(reference, "openai")["content"] == [{"type": "tool_reference", "name": "f"}]
    assert seen(reference)["content"] == "f"


def test_a_tool_call_has_its_keys_in_order_and_its_arguments_as_an_object() -> None:
    message = {"tool_calls": [CALL], "role": "assistant", "content": None, "reasoning_content": "r", "refusal": "no"}
    result = seen(message)
    assert list(result) == ["role", "content", "tool_calls", "reasoning", "reasoning_content"]
    (call,) = result["tool_calls"]
    assert list(call) == ["id", "function", "type", "index"]
    assert list(call["function"].items()) == [("arguments", {"a": 1.0}), ("name", "f"), ("x", 1)]
    assert message["tool_calls"] == [CALL]


@pytest.mark.parametrize("arguments", ["", "not json", "[1]", "1", None, {}])
def test_arguments_that_are_no_object_become_an_empty_one(arguments: Any) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    result = seen({"role": "assistant", "content": "", "tool_calls": [call]})
    assert result["tool_calls"][0]["function"]["arguments"] == {}


@pytest.mark.parametrize("calls", [[], None])
def test_no_calls_are_not_shown(calls: Any) -> None:
    assert "tool_calls" not in seen({"role": "assistant", "content": "a", "tool_calls": calls})


def test_only_what_vllm_shows_of_a_message_is_shown() -> None:
    message = {"role": "user", "content": "a", "name": "b", "tool_call_id": "1", "reasoning": "r", "phase": "x"}
    assert seen(message) == {"role": "user", "content": "a", "name": "b"}
    assert seen({"role": "alien"}) == {"role": "alien", "content": ""}


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ("x-anthropic-billing-header: cch=1\nBe kind.", "Be kind."),
        ("x-anthropic-billing-header: cch=1", ""),
        (["x-anthropic-billing-header: cch=1", "Be kind."], "Be kind."),
    ],
)
def test_claude_codes_billing_header_is_taken_out_of_system_texts(content: Any, left: str) -> None:
    assert seen({"role": "system", "content": content})["content"] == left
    assert "billing" in seen({"role": "user", "content": content})["content"]


@pytest.mark.parametrize(
    "message",
    [
        5,
        {"content": "a"},
        {"role": 5, "content": "a"},
        {"role": "user", "content": None},
        {"role": "user", "content": 5},
        {"role": "user", "content": [5]},
        {"role": "user", "content": [{"text": "a"}]},
        {"role": "user", "content": [{"type": "text", "text": 5}]},
        {"role": "assistant", "content": "", "reasoning": 5},
        {"role": "assistant", "content": "", "tool_calls": {"a": 1}},
        {"role": "assistant", "content": "", "tool_calls": [5]},
        {"role": "assistant", "content": "", "tool_calls": [{"type": "custom", "custom": {}}]},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"arguments": "[" * 100_000}}]},
    ],
)
def test_what_is_no_message_is_refused(message: Any) -> None:
    with pytest.raises(BadPrompt):
        seen(message)


def test_a_part_of_another_kind_cannot_be_rendered() -> None:
    with pytest.raises(CannotRender, match="input_audio"):
        seen({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]})
