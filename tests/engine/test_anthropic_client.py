"""Anthropic's own client on the real engine, by /v1/messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.engine.conftest import KEY, NAME
from tests.server import Server

pytestmark = pytest.mark.engine

ASK: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
GREEDY: dict[str, Any] = {"model": NAME, "messages": ASK, "extra_body": {"temperature": 0}}
TOOLS: list[Any] = [
    {
        "name": "weather",
        "description": "The weather in a city",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]


@pytest.fixture(scope="module")
def claude(sglang: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=sglang.url, auth_token=KEY, max_retries=0) as one:
        yield one


def test_a_message_is_answered(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(max_tokens=10, **GREEDY)
    [block] = answer.content
    assert block.type == "text"
    assert block.text
    assert (answer.role, answer.model, answer.stop_reason) == ("assistant", NAME, "max_tokens")
    assert answer.usage.output_tokens == 10
    assert answer.usage.input_tokens == claude.messages.count_tokens(model=NAME, messages=ASK).input_tokens


def test_a_stream_adds_up_to_the_same_message(claude: anthropic.Anthropic) -> None:
    whole = claude.messages.create(max_tokens=10, **GREEDY)
    with claude.messages.stream(max_tokens=10, **GREEDY) as stream:
        pieces = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert [block.text for block in whole.content if block.type == "text"] == [pieces]
    assert (final.stop_reason, final.usage.output_tokens) == ("max_tokens", 10)


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}], ids=["any", "by name"])
def test_a_tool_that_must_be_used_is_used(claude: anthropic.Anthropic, choice: Any) -> None:
    with claude.messages.stream(max_tokens=120, tools=TOOLS, tool_choice=choice, **GREEDY) as stream:
        final = stream.get_final_message()
    used = [block for block in final.content if block.type == "tool_use"]
    assert [block.name for block in used] == ["weather"]
    assert isinstance(used[0].input, dict)


def test_a_tool_that_may_be_used_need_not_be(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(max_tokens=20, tools=TOOLS, **GREEDY)
    assert answer.content


def test_errors_are_of_the_clients_own_classes(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="The model `nope` does not exist") as unknown:
        claude.messages.create(model="nope", max_tokens=5, messages=ASK)
    assert unknown.value.type == "not_found_error"
    with pytest.raises(anthropic.BadRequestError, match="maximum context length is 2048 tokens") as long:
        claude.messages.create(model=NAME, max_tokens=5, messages=[{"role": "user", "content": "word " * 3000}])
    assert long.value.type == "invalid_request_error"
    with (
        anthropic.Anthropic(base_url=claude.base_url, auth_token="not it", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model=NAME, max_tokens=5, messages=ASK)
