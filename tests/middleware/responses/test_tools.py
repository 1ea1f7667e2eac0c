"""Tools of /v1/responses: shown to the model as vLLM 0.33.0 shows them, and told again with its keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.errors import Refused
from middleware.policy import Policy
from middleware.responses.tools import TOOL, Tools, choice, read

F = {"type": "function", "name": "f", "parameters": {"type": "object"}}
SPACE = {"type": "namespace", "name": "n", "description": "", "tools": [F, {**F, "name": "g"}]}
NAMED = {"type": "function", "name": "f"}


def names(tools: Tools) -> list[str]:
    return [tool["function"]["name"] for tool in tools.shown]


def refusal(given: Any, *tools: dict[str, Any]) -> str:
    with pytest.raises(Refused) as caught:
        choice(given, read(tools), Policy())
    told = json.loads(bytes(caught.value.response.body))["error"]
    assert told["param"] == "tool_choice"
    message: str = told["message"]
    return message


def test_a_function_is_shown_without_nulls_and_told_with_vllms_keys_alone() -> None:
    tools = read([{**F, "strict": None, "description": None, "tools": None, "format": None}])
    assert tools.shown == [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    told = {"name": "f", "parameters": {"type": "object"}, "strict": None, "type": "function"}
    assert tools.told == [told | {"defer_loading": None, "description": None}]


def test_names_in_a_namespace_are_flat_to_the_model() -> None:
    tools = read([SPACE])
    assert names(tools) == ["n__f", "n__g"]
    assert tools.names == {"n__f": ("f", "n"), "n__g": ("g", "n")}
    assert tools.told == [SPACE]
    chosen, wanted = choice(NAMED, tools, Policy())
    assert chosen == {"type": "function", "name": "n__f"}
    assert wanted == {"type": "function", "function": {"name": "n__f"}}


def test_a_tool_of_free_text_is_a_function_of_one_argument() -> None:
    tools = read([{"type": "custom", "name": "sh", "description": "A shell."}])
    function = tools.shown[0]["function"]
    assert (function["name"], function["description"]) == ("sh", "A shell.")
    assert function["parameters"]["required"] == ["input"]
    assert tools.custom == {"sh"}


def test_what_runs_on_openais_servers_is_told_again_and_not_shown() -> None:
    assert read([{"type": "web_search_preview"}]).shown == []
    assert read([{"type": "web_search_preview"}]).told == [{"type": "web_search_preview"}]


@pytest.mark.parametrize(
    ("given", "tools", "policy", "told", "wanted"),
    [
        ("auto", [], Policy(), "none", None),
        ("auto", [F], Policy(), "auto", "auto"),
        ("none", [F], Policy(), "none", "none"),
        ("required", [F], Policy(), "required", "required"),
        (NAMED, [F], Policy(), NAMED, {"type": "function", "function": {"name": "f"}}),
        ({"type": "web_search_preview"}, [F], Policy(), {"type": "web_search_preview"}, "none"),
        ("auto", [{"type": "web_search_preview"}], Policy(), "auto", None),
        # vLLM shows the tools all the same, and nobody looks for calls.
        ("auto", [F], Policy(tool_parser=False, auto_tool_choice=False), "auto", "none"),
        ("required", [F], Policy(auto_tool_choice=False), "required", "none"),
        # Here it would not be the same prompt: chat says what is missing.
        ("auto", [F], Policy(tool_parser=False, exclude_tools_when_tool_choice_none=True), "auto", "auto"),
    ],
)
def test_the_choice_among_tools(given: Any, tools: Any, policy: Policy, told: Any, wanted: Any) -> None:
    assert choice(given, read(tools), policy) == (told, wanted)


def test_choices_that_cannot_be_kept_are_refused_in_vllms_words() -> None:
    assert refusal("required").startswith("Tool choice 'required' must be specified with 'tools' parameter.")
    assert refusal(NAMED).startswith("Tool choice 'function' not found in 'tools' parameter.")
    assert refusal({**NAMED, "name": "g"}, F).startswith("Tool choice 'function' not found in 'tools' parameter.")
    assert "contains no function tool" in refusal("required", {"type": "mcp"})
    other = {**SPACE, "name": "m"}
    assert "more than one namespace (n__f, m__f)" in refusal(NAMED, SPACE, other)


@pytest.mark.parametrize(
    ("tool", "param"),
    [
        (5, "body.tools.0"),
        ({"name": "f"}, "body.tools.0"),
        ({"type": "function"}, "body.tools.0.function.name"),
        ({**F, "name": None}, "body.tools.0.function.name"),
        ({**F, "strict": "maybe"}, "body.tools.0.function.strict"),
        ({**F, "parameters": []}, "body.tools.0.function.parameters"),
        ({**SPACE, "tools": [{"type": "function"}]}, "body.tools.0.namespace.tools.0.function.name"),
        ({**SPACE, "tools": None}, "body.tools.0.namespace.tools"),
    ],
)
def test_what_is_no_tool(tool: Any, param: str) -> None:
    errors: list[dict[str, object]] = []
    TOOL.read(tool, "body.tools.0", errors)
    assert errors[0]["loc"] == param


def test_nulls_of_a_tool_are_nothing() -> None:
    errors: list[dict[str, object]] = []
    TOOL.read({**F, "strict": None, "description": None, "parameters": None}, "body.tools.0", errors)
    assert errors == []
