"""What vLLM 0.33.0 takes for a request to /v1/messages, and its words for what it does not: all mistakes at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.anthropic import schema
from middleware.errors import Refused

HI = [{"role": "user", "content": "hi"}]
LEAST: dict[str, Any] = {"model": "m", "messages": HI, "max_tokens": 2000}
TOOL = {"name": "f", "input_schema": {}}


def taken(**body: Any) -> dict[str, Any]:
    return schema.taken(schema.messages(4), {**LEAST, **body})


def refusal(body: dict[str, Any], kind: Any = None) -> list[str]:
    with pytest.raises(Refused) as caught:
        schema.taken(kind or schema.messages(4), body)
    error = json.loads(bytes(caught.value.response.body))["error"]
    assert (error["type"], error["code"]) == ("Bad Request", 400)
    return [str(line) for line in error["message"].split("\n  ")[1:]]


def said(block: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": [block]}]}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"tools": [{**TOOL, "strict": None}]}, id="strict null"),
        pytest.param(
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": None}}, id="parallel null"
        ),
        pytest.param(said({"type": "redacted_thinking", "data": "x"}, "assistant"), id="hidden thoughts"),
        pytest.param({"thinking": {"type": "adaptive"}}, id="adaptive thinking"),
        pytest.param({"tools": [{**TOOL, "input_schema": {"properties": []}}]}, id="properties of PHP"),
        pytest.param({"tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}]}, id="what nobody knows"),
        pytest.param({"stop_sequences": ["a", "b", "c", "d"], "metadata": None, "top_k": "5"}, id="bounds"),
    ],
)
def test_what_vllm_takes_is_taken(body: dict[str, Any]) -> None:
    assert taken(**body)["messages"]


def test_values_are_read_as_pydantic_reads_them() -> None:
    assert taken(max_tokens="7", stream="true", top_k=5.0, nonsense=1) == {
        "model": "m", "messages": HI, "max_tokens": 7, "stream": True, "top_k": 5.0,
    }  # fmt: skip


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_model() -> None:
    told = refusal({"max_tokens": "x", "messages": [{"role": "x", "content": 5}], "cache_salt": ""})
    assert [line.split("'loc': ")[1].split(",")[0] for line in told] == [
        "'body.model'", "'body.messages.0.role'", "'body.messages.0.content'", "'body.messages.0.content'",
        "'body.max_tokens'", "'body.cache_salt'",
    ]  # fmt: skip
    assert told[0] == (
        "{'type': 'missing', 'loc': 'body.model', 'msg': 'Field required', 'input': '<dict of 3 items>'}"
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model": ""}, "Value error, Model is required"),
        ({"max_tokens": 0}, "Value error, max_tokens must be positive"),
        ({"cache_salt": ""}, "String should have at least 1 character"),
        ({"cache_salt": "x" * 1025}, "String should have at most 1024 characters"),
        ({"cache_salt": 5}, "Input should be a valid string"),
        ({"stop_sequences": list("abcde")}, "List should have at most 4 items after validation, not 5"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "budget_tokens must be less than max_tokens"),
        ({"thinking": {"type": "none"}}, "does not match any of the expected tags: 'enabled', 'disabled', 'adaptive'"),
        ({"thinking": {}}, "Unable to extract tag using discriminator 'type'"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name is required when type is 'tool'"),
        ({"tools": [{"name": "web_search", "type": "web_search_20250305"}]}, "Field required"),
        ({"output_config": {"effort": "most"}}, "'low', 'medium', 'high', 'xhigh' or 'max'"),
        ({"system": [{"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}}]}, 'role "system"'),
        (said({"type": "tool_addition"}, "system"), "tool is required for tool_addition blocks"),
        (
            said({"type": "tool_removal", "tool": {"type": "tool_definition", "definition": TOOL}}, "system"),
            "tool_removal only accepts a tool_reference",
        ),
        ({"vllm_xargs": {"a": [None]}}, "Input should be a valid"),
    ],
)
def test_what_vllm_refuses_is_refused_in_its_words(body: dict[str, Any], words: str) -> None:
    assert any(words in line for line in refusal({**LEAST, **body}))


def test_of_two_halves_the_first_needs_no_room_for_an_answer() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert taken(thinking=thinking, kv_transfer_params={"do_remote_decode": True})["thinking"] == thinking


def test_a_count_asks_for_no_length() -> None:
    assert schema.taken(schema.COUNTED, {"model": "m", "messages": HI, "max_tokens": "x"}) == {
        "model": "m", "messages": HI,
    }  # fmt: skip
    assert len(refusal({}, schema.COUNTED)) == 2


def test_a_long_mistake_is_cut() -> None:
    [line] = refusal({**LEAST, "thinking": {"type": "b" * 5000}})
    assert line.endswith("...[truncated]")
    assert len(line) < 1100
