"""Which requests SGLang would show the model otherwise; each was seen to differ from vLLM in SGLang 0.5.23's code."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.prompt.needs import not_text, why_render

USER = {"role": "user", "content": "hello"}


def asked(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [*messages, USER], **fields}


@pytest.mark.parametrize(
    "fields",
    [
        asked(),
        asked({"role": "system", "content": "s"}, USER, {"role": "assistant", "content": "a", "name": "x"}),
        asked({"role": "tool", "content": "s", "tool_call_id": "1", "name": "f"}),
        asked({"role": "assistant", "content": None, "tool_calls": None, "reasoning": None}),
        asked(tools=None, documents=None, chat_template=None, reasoning_effort=None, tool_choice="none"),
        asked(add_generation_prompt=True, continue_final_message=False, add_special_tokens=False),
        asked(chat_template_kwargs={"enable_thinking": False}, temperature=0),
        {},
        {"messages": []},
        {"messages": "x"},
        {"messages": [5]},
    ],
)
def test_a_chat_that_both_show_alike_is_left_to_sglang(fields: dict[str, Any]) -> None:
    assert why_render(fields) is None


@pytest.mark.parametrize(
    "fields",
    [
        asked(tools=[{}]),
        asked(tools=[{}], tool_choice="none"),
        asked(documents=[{}]),
        asked(chat_template="x"),
        asked(reasoning_effort="low"),
        asked(truncate_prompt_tokens=5),
        asked(add_generation_prompt=False),
        asked(add_generation_prompt="false"),
        asked(continue_final_message=True),
        asked(add_special_tokens=1),
        asked(chat_template_kwargs={"a": None}),
        asked(chat_template_kwargs={"a": "auto"}),
        asked(chat_template_kwargs={"tools": []}),
        {"messages": [USER, {"role": "assistant", "content": "a"}]},
        asked({"role": "developer", "content": "d"}),
        asked({"role": "alien", "content": "d"}),
        asked({"role": [], "content": "d"}),
        asked({"role": "User", "content": "d"}),
        asked({"role": "user", "content": [{"type": "text", "text": "a"}]}),
        asked({"role": "user"}),
        asked({"role": "user", "content": "a", "name": "bob"}),
        asked({"role": "system", "content": "x-anthropic-billing-header: a"}),
        asked({"role": "assistant", "content": "a", "tool_calls": []}),
        asked({"role": "assistant", "content": "a", "reasoning": "r"}),
        asked({"role": "assistant", "content": "a", "reasoning_content": "r"}),
        asked({"role": "assistant", "content": "a", "tool_call_id": "1"}),
        asked({"role": "system", "content": "a", "tools": []}),
    ],
)
def test_a_chat_that_sglang_shows_otherwise_is_rendered(fields: dict[str, Any]) -> None:
    assert why_render(fields) is not None


def test_every_chat_is_rendered_where_the_template_tells_texts_from_lists() -> None:
    assert why_render(asked(), texts_are_alike=False) is not None


def test_the_first_part_that_is_no_text_is_named() -> None:
    text = {"role": "user", "content": [{"type": "text", "text": "a"}, "b", {"type": "thinking", "thinking": "c"}]}
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {}}, {"type": "input_audio"}]}
    assert not_text([USER, text, 5, {"role": "user"}]) is None
    assert not_text([USER, text, image]) == "image_url"
