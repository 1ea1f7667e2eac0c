"""The chat that vLLM 0.33.0 makes of a request to /v1/messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.anthropic import schema
from middleware.anthropic.request import chat
from middleware.errors import Refused
from middleware.policy import Policy
from middleware.prompt.traits import Traits

HEADER = "x-anthropic-billing-header: cc_version=1; cch=abc"
INLINE = Traits(system_first=False)
TOOLS = [{"name": "f", "description": "d", "input_schema": {"properties": {}}}, {"name": "g", "input_schema": {}}]


def made(messages: Any = "hi", traits: Traits = INLINE, **body: Any) -> dict[str, Any]:
    asked = messages if isinstance(messages, list) else [{"role": "user", "content": messages}]
    kind = schema.messages(4)
    return chat(schema.taken(kind, {"model": "m", "max_tokens": 9, "messages": asked, **body}), traits, Policy())


def turns(messages: Any, traits: Traits = INLINE, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made(messages, traits, **body)["messages"]
    return found


def block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def test_blocks_of_the_system_are_joined_without_anything_and_without_claude_codes_header() -> None:
    system = [block(HEADER), block("You are Claude."), block("Be brief."), block("")]
    assert turns("hi", system=system)[0] == {"role": "system", "content": "You are Claude.Be brief."}
    assert turns("hi", system=[block(HEADER)]) == [{"role": "user", "content": "hi"}]


def test_a_text_alone_is_a_string_and_several_stay_parts() -> None:
    assert turns([{"role": "user", "content": [block("a")]}]) == [{"role": "user", "content": "a"}]
    several = [block("a"), block("b")]
    assert turns([{"role": "user", "content": several}]) == [{"role": "user", "content": several}]


def test_a_last_message_of_the_assistant_stays_the_assistants() -> None:
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert turns(said) == said


def test_thoughts_go_along_and_hidden_ones_do_not() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    hidden = {"type": "redacted_thinking", "data": "x"}
    assert turns([{"role": "assistant", "content": [hidden, thought, block("a")]}]) == [
        {"role": "assistant", "reasoning": "hm", "content": "a"}
    ]
    assert turns([{"role": "assistant", "content": [hidden]}]) == [{"role": "assistant"}]


def test_a_call_and_its_result_are_messages_of_a_chat() -> None:
    call = {"type": "tool_use", "id": "c", "name": "f", "input": {"city": "Paris"}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [block("sunny"), block("hot")]}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}
    result["content"] += [image, {"type": "tool_reference", "tool_name": "g"}]  # type: ignore[operator]
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    assert turns([{"role": "assistant", "content": [call]}, {"role": "user", "content": [result, block("so?")]}]) == [
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "sunny\nhot"},
        {"role": "user", "content": [shown]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "tool_reference", "name": "g"}]},
        {"role": "user", "content": "so?"},
    ]


def test_a_message_of_results_alone_is_nothing_else() -> None:
    result = {"type": "tool_result", "tool_use_id": "c", "content": "x"}
    assert turns([{"role": "user", "content": [result]}]) == [{"role": "tool", "tool_call_id": "c", "content": "x"}]


def test_an_image_elsewhere_is_a_url() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://h/a.png"}}
    [turn] = turns([{"role": "user", "content": [image]}])
    assert turn["content"] == [{"type": "image_url", "image_url": {"url": "https://h/a.png"}}]


def test_the_system_in_between_goes_to_the_front_where_the_template_wants_it() -> None:
    said = [{"role": "user", "content": "a"}, {"role": "system", "content": "s"}, {"role": "user", "content": "b"}]
    assert turns(said, system="t") == [{"role": "system", "content": "t"}, *said]
    first = turns(said, Traits(system_first=True), system="t")
    assert first == [{"role": "system", "content": "ts"}, said[0], said[2]]


def test_sampling_and_the_rest_go_by_the_chats_names() -> None:
    same: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "cache_salt": "s",
        "chat_template_kwargs": {"a": 1},
    }
    body = made(**same, stop_sequences=["x"], stream=True)
    assert body == {
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "max_completion_tokens": 9,
        **same, "stop": ["x"], "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "becomes"),
    [
        (None, "auto"),
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_a_choice_of_tools(choice: Any, becomes: Any) -> None:
    body = made(tools=TOOLS, tool_choice=choice)
    assert body["tool_choice"] == becomes
    assert body["tools"] == [
        {"type": "function", "function": {
            "name": "f", "description": "d", "parameters": {"properties": {}, "type": "object"}}},
        {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}},
    ]  # fmt: skip
    assert ("parallel_tool_calls" in body) is (choice is not None)


def test_one_call_at_a_time() -> None:
    choice = {"type": "any", "disable_parallel_tool_use": True}
    assert made(tools=TOOLS, tool_choice=choice)["parallel_tool_calls"] is False


def test_tools_come_and_go_in_the_middle() -> None:
    changes = [
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "f"}},
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": "h", "input_schema": {}}}},
        {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "g"}},
    ]
    tools = [TOOLS[0], {**TOOLS[1], "defer_loading": True}]
    said = [{"role": "user", "content": "a"}, {"role": "system", "content": changes}]
    functions = [tool["function"] for tool in made(said, tools=tools)["tools"]]
    assert [function["name"] for function in functions] == ["g", "h"]
    assert "defer_loading" not in functions[0]
    with pytest.raises(Refused) as caught:
        made(said, tools=[])
    assert "references tool 'f', which is not declared in tools" in bytes(caught.value.response.body).decode()


def test_no_tools_are_no_choice_but_a_server_without_a_parser_says_so() -> None:
    choices: list[dict[str, Any]] = [{"tools": []}, *({"tool_choice": {"type": kind}} for kind in ("any", "none"))]
    for body in choices:
        assert {"tools", "tool_choice"}.isdisjoint(made(**body))
    asked = {"model": "m", "max_tokens": 9, "messages": [], "tools": []}
    with pytest.raises(Refused) as caught:
        chat(schema.taken(schema.messages(4), asked), INLINE, Policy(auto_tool_choice=False))
    message = json.loads(bytes(caught.value.response.body))["error"]["message"]
    assert message == '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


def test_thinking_becomes_an_effort_or_a_budget() -> None:
    low = Traits(disabled_effort="low")
    assert (
        made(traits=low, thinking={"type": "disabled"}, output_config={"effort": "high"})["reasoning_effort"] == "low"
    )
    assert made(output_config={"effort": "high"})["reasoning_effort"] == "high"
    assert made(max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})["thinking_token_budget"] == 1024
    assert made(thinking={"type": "adaptive"}) == made()


def test_an_output_with_a_schema_is_held_to_it() -> None:
    config = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert made(output_config=config)["response_format"] == {
        "type": "json_schema", "json_schema": {"name": "json_schema", "schema": {"type": "object"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    "content", [[{"type": "text", "text": 5}], [{"type": "image", "source": "file:///etc/passwd"}]]
)
def test_a_result_of_a_tool_that_cannot_be_read_is_400(content: list[dict[str, Any]]) -> None:
    with pytest.raises(Refused):
        made([{"role": "user", "content": [{"type": "tool_result", "content": content}]}])
