"""/v1/responses over a real engine: a chat's prompt, calls as vLLM tells them, and a 400 before a stream begins."""

from __future__ import annotations

import re
from typing import Any

import openai
import pytest

from tests.engine.conftest import NAME
from tests.server import Server

pytestmark = pytest.mark.engine
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {"type": "function", "name": "get_weather", "description": "The weather.", "parameters": PARAMETERS}
CHATS_TOOL = {"type": "function", "function": {name: TOOL[name] for name in ("name", "description", "parameters")}}
QUESTION = "What is the weather in Paris?"


def tokens(server: Server, path: str, body: dict[str, Any]) -> int:
    answer = server.client.post(path, json={"model": NAME, "temperature": 0, **body})
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    counted: int = usage.get("prompt_tokens", usage.get("input_tokens"))
    return counted


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_the_model_sees_the_tools_of_a_chat(sglang: Server, choice: str) -> None:
    chat = {"messages": [{"role": "user", "content": QUESTION}], "tools": [CHATS_TOOL], "tool_choice": choice}
    response = {"input": QUESTION, "tools": [{**TOOL, "strict": None}], "tool_choice": choice}
    expected = tokens(sglang, "/v1/chat/completions", {**chat, "max_tokens": 2})
    assert tokens(sglang, "/v1/responses", {**response, "max_output_tokens": 2}) == expected
    without = tokens(sglang, "/v1/responses", {"input": QUESTION, "max_output_tokens": 2})
    assert expected > without + 50


def test_parts_are_lines_and_an_assistants_last_word_is_its_own(sglang: Server) -> None:
    parts = [{"type": "input_text", "text": "Hello"}, {"type": "input_text", "text": "there"}]
    last = {"role": "assistant", "content": "The"}
    for given, messages in (
        ([{"role": "user", "content": parts}], [{"role": "user", "content": "Hello\nthere"}]),
        ([{"role": "user", "content": "Hi"}, last], [{"role": "user", "content": "Hi"}, last]),
    ):
        expected = tokens(sglang, "/v1/chat/completions", {"messages": messages, "max_tokens": 2})
        assert tokens(sglang, "/v1/responses", {"input": given, "max_output_tokens": 2}) == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"input": "hello " * 3000}, "maximum context length is 2048 tokens"),
        ({"input": "hi", "structured_outputs": {"regex": "(("}}, ""),
        ({"input": "hi", "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "bogus"}}}}, ""),
    ],
    ids=["too long", "no regex", "no schema"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_answered_is_a_400_before_any_event(
    sglang: Server, body: dict[str, Any], words: str, stream: bool
) -> None:
    answer = sglang.client.post("/v1/responses", json={"model": NAME, "stream": stream, "max_output_tokens": 8, **body})
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]["message"]


def test_a_call_that_must_be_is_the_only_item(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": NAME, "input": QUESTION, "tools": [TOOL], "tool_choice": "required"}
    answer = client.responses.create(**asked, temperature=0, max_output_tokens=60)
    events = list(client.responses.create(**asked, temperature=0, max_output_tokens=60, stream=True))
    last: Any = events[-1]
    for output in (answer.output, last.response.output):
        [call] = output
        assert call.type == "function_call"
        assert call.name == "get_weather"
        assert re.fullmatch(r"fc_[0-9a-f]{16}", call.id or "")
        assert re.fullmatch(r"chatcmpl-tool-[0-9a-f]{16}", call.call_id)
    pieces = "".join(event.delta for event in events if event.type == "response.function_call_arguments.delta")
    assert pieces == last.response.output[0].arguments
    [call] = last.response.output
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}
    follows: Any = [{"role": "user", "content": QUESTION}, call.model_dump(exclude_none=True), output]
    said = client.responses.create(model=NAME, input=follows, tools=[TOOL], max_output_tokens=8)
    assert said.status in ("completed", "incomplete")


def test_a_call_that_is_cut_off_is_incomplete(client: openai.OpenAI) -> None:
    answer = client.responses.create(
        model=NAME, input=QUESTION, tools=[TOOL], tool_choice="required", max_output_tokens=4, temperature=0
    )
    assert answer.status == "incomplete"
    assert answer.output
    assert all(getattr(item, "status", None) == "incomplete" for item in answer.output)


def test_a_stream_without_a_length_says_how_much_room_there_is(client: openai.OpenAI) -> None:
    with client.responses.create(model=NAME, input="Count to 100000.", temperature=0, stream=True) as stream:
        first: Any = next(iter(stream))
    assert first.type == "response.created"
    assert 1900 < first.response.max_output_tokens < 2048
