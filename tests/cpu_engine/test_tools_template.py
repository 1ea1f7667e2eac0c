"""The chat template with tools, rendered as transformers renders it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cpu_engine.places import REPOSITORY

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL: dict[str, Any] = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}


def render(messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = json.dumps
    template = environment.from_string((REPOSITORY / "cpu_engine/tools.jinja").read_text())
    return template.render(messages=messages, tools=tools, add_generation_prompt=True)


def test_without_tools_it_is_plain_chatml() -> None:
    assert render([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_tools_are_listed_one_json_object_a_line() -> None:
    lines = render([{"role": "user", "content": "Hello"}], [TOOL, TOOL]).splitlines()
    assert [json.loads(line) for line in lines[lines.index("<tools>") + 1 : lines.index("</tools>")]] == [TOOL, TOOL]


@pytest.mark.parametrize("arguments", [{"city": "Paris"}, '{"city": "Paris"}'], ids=["an object", "a text"])
def test_a_call_is_written_as_the_parser_reads_it(arguments: object) -> None:
    call = {"function": {"name": "weather", "arguments": arguments}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    text = render(messages)
    body = text.split("<tool_call>\n")[1].split("\n</tool_call>")[0]
    assert json.loads(body) == {"name": "weather", "arguments": {"city": "Paris"}}


def test_a_tools_answer_is_given_back_as_a_users_turn() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "sunny"},
    ]
    assert "<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n" in render(messages, [TOOL])
