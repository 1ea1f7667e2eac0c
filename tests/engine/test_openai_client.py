"""OpenAI's own client on the real engine: what its users write, with vLLM's additions to it."""

from __future__ import annotations

import json
import re
from typing import Any

import openai
import pydantic
import pytest

from tests.engine.conftest import NAME
from tests.server import Server

pytestmark = pytest.mark.engine

ASK: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
INVENT: list[Any] = [{"role": "user", "content": "Invent a person."}]
GREEDY: dict[str, Any] = {"model": NAME, "temperature": 0}
WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "strict": True,  # without it the arguments are any object, in vLLM 0.33.0 as well
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
NAMED = {"type": "function", "function": {"name": "weather"}}


class Person(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str = pydantic.Field(max_length=10)
    age: int = pydantic.Field(ge=0, le=99)


SCHEMA = Person.model_json_schema()


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    assert [(model.id, model.object) for model in client.models.list()] == [(NAME, "model")]


def test_a_stream_ends_with_its_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        messages=ASK, max_tokens=5, stream=True, stream_options={"include_usage": True}, **GREEDY
    )
    *chunks, last = stream
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 5
    assert chunks[-1].choices[0].finish_reason == "length"
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_a_tool_that_must_be_called_is_called_as_its_schema_says(client: openai.OpenAI, choice: Any) -> None:
    ask: dict[str, Any] = {"messages": ASK, "tools": [WEATHER], "tool_choice": choice, "max_tokens": 60, **GREEDY}
    [call] = client.chat.completions.create(**ask).choices[0].message.tool_calls
    assert call.id.startswith("chatcmpl-tool-")
    assert call.function.name == "weather"
    arguments = json.loads(call.function.arguments)
    assert isinstance(arguments["city"], str)

    deltas = [chunk.choices[0].delta for chunk in client.chat.completions.create(stream=True, **ask)]
    pieces = [call for delta in deltas for call in delta.tool_calls or []]
    assert [piece.function.name for piece in pieces if piece.function.name] == ["weather"]
    assert json.loads("".join(piece.function.arguments or "" for piece in pieces)) == arguments


def test_a_tool_that_may_be_called_need_not_be(client: openai.OpenAI) -> None:
    tools: list[Any] = [WEATHER]
    answer = client.chat.completions.create(messages=ASK, tools=tools, tool_choice="auto", max_tokens=30, **GREEDY)
    message = answer.choices[0].message
    assert message.content or message.tool_calls
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 100, "the model was told of the tool"


def test_a_tools_answer_is_understood(client: openai.OpenAI) -> None:
    call = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    history: list[Any] = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call-1", "content": "It is raining."},
    ]
    tools: list[Any] = [WEATHER]
    answer = client.chat.completions.create(messages=history, tools=tools, max_tokens=20, **GREEDY)
    assert answer.choices[0].message.content


def test_an_answer_is_parsed_into_the_clients_own_class(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(messages=INVENT, response_format=Person, max_tokens=80, **GREEDY)
    assert isinstance(answer.choices[0].message.parsed, Person)


@pytest.mark.parametrize(
    ("asked", "pattern"),
    [
        ({"guided_regex": "[0-9]{3}-[a-z]{2}"}, "[0-9]{3}-[a-z]{2}"),
        ({"structured_outputs": {"regex": "[a-c]{4}"}}, "[a-c]{4}"),
        ({"guided_choice": ["red (a)", "blue"]}, r"red \(a\)|blue"),
        ({"structured_outputs": {"choice": ["red", "blue"]}}, "red|blue"),
        ({"guided_grammar": 'root ::= "yes" | "no"'}, "yes|no"),
        ({"structured_outputs": {"grammar": 'root ::= "yes" | "no"'}}, "yes|no"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_vllm_guides_is_guided(client: openai.OpenAI, asked: dict[str, Any], pattern: str) -> None:
    chat = client.chat.completions.create(messages=ASK, max_tokens=20, extra_body=asked, **GREEDY)
    text = client.completions.create(prompt="Invent something:", max_tokens=20, extra_body=asked, **GREEDY)
    for told in (chat.choices[0].message.content, text.choices[0].text):
        assert re.fullmatch(pattern, told), told


@pytest.mark.parametrize(
    "asked",
    [
        {"guided_json": SCHEMA},
        {"structured_outputs": {"json": SCHEMA}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_what_has_a_schema_conforms_to_it(client: openai.OpenAI, asked: dict[str, Any]) -> None:
    chat = client.chat.completions.create(messages=INVENT, max_tokens=80, extra_body=asked, **GREEDY)
    text = client.completions.create(prompt="A person:", max_tokens=80, extra_body=asked, **GREEDY)
    Person.model_validate_json(chat.choices[0].message.content or "", strict=True)
    Person.model_validate_json(text.choices[0].text, strict=True)


def test_logprobs_say_what_was_likely(client: openai.OpenAI) -> None:
    chat = client.chat.completions.create(messages=ASK, max_tokens=2, logprobs=True, top_logprobs=3, **GREEDY)
    found = chat.choices[0].logprobs
    assert found is not None
    assert found.content is not None
    assert "".join(one.token for one in found.content) == chat.choices[0].message.content
    for one in found.content:
        assert one.top_logprobs[0].logprob == one.logprob
        assert len(one.top_logprobs) == 3
    text = client.completions.create(prompt="The capital", max_tokens=2, logprobs=2, echo=True, **GREEDY)
    told = text.choices[0].logprobs
    assert told is not None
    assert told.tokens is not None
    assert "".join(told.tokens) == text.choices[0].text
    assert told.token_logprobs is not None
    assert told.token_logprobs[0] is None


def test_several_choices_are_told_apart_whole_and_in_a_stream(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(messages=ASK, n=2, max_tokens=3, model=NAME)
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 6
    chunks = list(client.chat.completions.create(messages=ASK, n=2, max_tokens=3, stream=True, model=NAME))
    ended = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert sorted(ended) == [0, 1]


def test_a_stop_word_stops_and_is_named(client: openai.OpenAI) -> None:
    answer = client.completions.create(prompt="1 2 3 4", stop=[" 7"], max_tokens=30, **GREEDY)
    choice = answer.choices[0]
    assert (choice.text, choice.finish_reason) == (" 5 6", "stop")
    assert choice.model_dump()["stop_reason"] == " 7"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="The model `nope` does not exist"):
        client.chat.completions.create(model="nope", messages=ASK)


def test_a_prompt_that_is_too_long_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="maximum context length is 2048 tokens"):
        client.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "word " * 3000}])
    with pytest.raises(openai.BadRequestError, match="max_tokens=4000 cannot be greater than max_model_len=2048"):
        client.chat.completions.create(model=NAME, messages=ASK, max_tokens=4000)


def test_max_tokens_beyond_the_room_is_what_there_is_room_for(client: openai.OpenAI) -> None:
    how: dict[str, Any] = {"prompt": "word " * 2040, "max_tokens": 2000, "extra_body": {"ignore_eos": True}, **GREEDY}
    whole = client.completions.create(**how)
    assert whole.usage is not None
    # vLLM fills the context to the last token; SGLang 0.5.23 keeps two back.
    assert whole.usage.total_tokens in range(2046, 2049)
    assert whole.choices[0].finish_reason == "length"
    assert "".join(chunk.choices[0].text for chunk in client.completions.create(stream=True, **how))


def test_token_ids_are_those_of_the_text(client: openai.OpenAI, sglang: Server) -> None:
    how: dict[str, Any] = {"max_tokens": 6, "extra_body": {"return_token_ids": True}, **GREEDY}
    chat = client.chat.completions.create(messages=ASK, **how).model_dump()
    said = sglang.client.post("/tokenize", json={"model": NAME, "messages": ASK}).json()["tokens"]
    assert chat["prompt_token_ids"] == said
    ids = chat["choices"][0]["token_ids"]
    assert len(ids) == 6
    assert _text(sglang, ids) == chat["choices"][0]["message"]["content"]

    chunks = [chunk.model_dump() for chunk in client.chat.completions.create(messages=ASK, stream=True, **how)]
    assert _joined(chunks) == ids
    assert [chunk["prompt_token_ids"] for chunk in chunks if chunk.get("prompt_token_ids")] == [said]

    text = client.completions.create(prompt="1 2 3", **how).choices[0].model_dump()
    assert (
        text["prompt_token_ids"]
        == sglang.client.post("/tokenize", json={"model": NAME, "prompt": "1 2 3"}).json()["tokens"]
    )
    assert _text(sglang, text["token_ids"]) == text["text"]
    chunks = [chunk.model_dump() for chunk in client.completions.create(prompt="1 2 3", stream=True, **how)]
    assert _joined(chunks) == text["token_ids"]


def test_a_prompt_of_token_ids_is_taken_as_it_is(client: openai.OpenAI) -> None:
    answer = client.completions.create(prompt=[33, 216, 34], max_tokens=2, **GREEDY)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3
    with pytest.raises(openai.BadRequestError, match="vocabulary"):
        client.completions.create(prompt=[33, 10_000_000], max_tokens=2, **GREEDY)


def test_responses_are_created_and_streamed(client: openai.OpenAI) -> None:
    answer = client.responses.create(model=NAME, input="What is the capital of France?", max_output_tokens=20)
    assert answer.id.startswith("resp_")
    assert answer.output_text
    events = list(client.responses.create(model=NAME, input="Hello", max_output_tokens=5, stream=True))
    assert events[0].type == "response.created"
    assert events[-1].type in ("response.completed", "response.incomplete")


def _text(server: Server, ids: list[int]) -> str:
    told: str = server.client.post("/detokenize", json={"model": NAME, "tokens": ids}).json()["prompt"]
    return told


def _joined(chunks: list[dict[str, Any]]) -> list[int]:
    return [one for chunk in chunks for choice in chunk["choices"] for one in choice.get("token_ids") or []]
