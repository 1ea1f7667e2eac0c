"""What vLLM asks of tools and of the choice among them, where the recordings do not tell."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.fields.chat import CHAT
from tests.middleware.fields.editing import edit, error, passes

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
NAMED = {"type": "function", "function": {"name": "f"}}
SCHEMA = {"response_format": {"type": "json_object"}}


@pytest.mark.parametrize("choice", ["auto", "none", "required", NAMED])
def test_choices_keep_their_bytes(choice: Any) -> None:
    assert passes(CHAT, {"tools": TOOLS, "tool_choice": choice})


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ("any", "tool_choice"),
        (["auto"], "tool_choice"),
        ({"type": "function"}, "tool_choice.function"),
        ({"function": {}}, "tool_choice.function.name"),
        ({"function": {"name": ""}}, "tool_choice.function.name"),
        ({"function": {"name": "g"}}, "tool_choice"),
    ],
)
def test_a_choice_that_is_none_is_400(choice: Any, param: str) -> None:
    assert error(CHAT, {"tools": TOOLS, "tool_choice": choice})["param"] == param


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        (5, "body.tools.0"),
        ({"type": "other", "function": {"name": "f"}}, "body.tools.0.type"),
        ({"function": 5}, "body.tools.0.function"),
        ({"function": {}}, "body.tools.0.function.name"),
        ({"function": {"name": None}}, "body.tools.0.function.name"),
        ({"function": {"name": "f", "description": 5}}, "body.tools.0.function.description"),
    ],
)
def test_a_tool_that_is_none_is_400(tool: Any, param: str) -> None:
    assert error(CHAT, {"tools": [tool]})["param"] == param


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_a_call_that_is_required_wins_over_the_format_of_the_answer(choice: Any) -> None:
    asked = {"tools": TOOLS, "tool_choice": choice}
    assert edit(CHAT, {**asked, **SCHEMA}) == asked
    assert edit(CHAT, {**asked, "tool_choice": "auto", **SCHEMA}) == {**asked, "tool_choice": "auto", **SCHEMA}


def test_a_named_tool_and_a_constraint_are_one_too_many() -> None:
    asked = {"tools": TOOLS, "tool_choice": NAMED, "structured_outputs": {"regex": "a"}}
    assert "or tools, not both" in error(CHAT, asked)["message"]


@pytest.mark.parametrize("strict", ["yes", 1])
def test_strict_is_a_boolean_to_sglang(strict: Any) -> None:
    schema = {"name": "p", "schema": {"type": "object"}}
    given = {"response_format": {"type": "json_schema", "json_schema": {**schema, "strict": strict}}}
    sent = edit(CHAT, given)["response_format"]
    assert sent["json_schema"] == {**schema, "strict": True}


@pytest.mark.parametrize(
    "given", [{"type": "structural_tag"}, {"type": "json_schema", "json_schema": {"schema": {}}}, {}, {"type": 5}]
)
def test_a_format_that_is_none_is_400(given: Any) -> None:
    assert error(CHAT, {"response_format": given})["code"] == 400
