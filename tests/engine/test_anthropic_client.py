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


def test_a_stop_sequence_ends_an_answer_and_is_named(claude: anthropic.Anthropic) -> None:
    whole = claude.messages.create(max_tokens=20, **GREEDY)
    [block] = whole.content
    assert block.type == "text"
    word = block.text.split()[2]
    stopped = claude.messages.create(max_tokens=20, stop_sequences=[word], **GREEDY)
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", word)
    with claude.messages.stream(max_tokens=20, stop_sequences=[word], **GREEDY) as stream:
        final = stream.get_final_message()
    assert (final.stop_reason, final.stop_sequence) == ("stop_sequence", word)
    assert [block.text for block in final.content if block.type == "text"] == [
        block.text for block in stopped.content if block.type == "text"
    ]


def test_a_stream_longer_than_the_room_is_as_long_as_the_room(claude: anthropic.Anthropic) -> None:
    long: list[Any] = [{"role": "user", "content": "word " * 1980}]
    with claude.messages.stream(model=NAME, max_tokens=1000, messages=long) as stream:
        final = stream.get_final_message()
    assert final.stop_reason in ("max_tokens", "end_turn")
    assert final.usage.input_tokens + final.usage.output_tokens <= 2048


def test_claude_codes_conversation_is_taken_and_counted(claude: anthropic.Anthropic) -> None:
    used = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "sunny"}]}
    thought = {"type": "thinking", "thinking": "I shall ask.", "signature": "s"}
    hidden = {"type": "redacted_thinking", "data": "x"}
    said: list[Any] = [*ASK, {"role": "assistant", "content": [thought, hidden, used]},
                       {"role": "user", "content": [result, {"type": "text", "text": "And tomorrow?"}]}]  # fmt: skip
    system: list[Any] = [{"type": "text", "text": text} for text in ("x-anthropic-billing-header: 1", "Be brief.")]
    tools: list[Any] = [{**TOOLS[0], "strict": None, "cache_control": {"type": "ephemeral"}}]
    more: dict[str, Any] = {"messages": said, "system": system, "tools": tools, "thinking": {"type": "adaptive"}}
    answer = claude.messages.create(**{**GREEDY, **more}, max_tokens=10)
    assert answer.content
    assert answer.usage.input_tokens == claude.messages.count_tokens(model=NAME, **more).input_tokens


def test_a_salt_parts_caches_and_changes_no_answer(claude: anthropic.Anthropic) -> None:
    plain = claude.messages.create(max_tokens=10, **GREEDY)
    salted = claude.messages.create(
        max_tokens=10, model=NAME, messages=ASK, extra_body={"temperature": 0, "cache_salt": "mine"}
    )
    assert [block.type for block in salted.content] == [block.type for block in plain.content]
    assert salted.usage.input_tokens == plain.usage.input_tokens


def test_errors_are_of_the_clients_own_classes(claude: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="The model `nope` does not exist") as unknown:
        claude.messages.create(model="nope", max_tokens=5, messages=ASK)
    assert unknown.value.type == "not_found_error"
    with pytest.raises(anthropic.BadRequestError, match="maximum context length is 2048 tokens") as long:
        claude.messages.create(model=NAME, max_tokens=5, messages=[{"role": "user", "content": "word " * 3000}])
    assert long.value.type == "invalid_request_error"
    with pytest.raises(anthropic.BadRequestError, match="maximum context length is 2048 tokens"):
        claude.messages.create(model=NAME, max_tokens=5, stream=True,
                               messages=[{"role": "user", "content": "word " * 3000}])  # fmt: skip
    with (
        anthropic.Anthropic(base_url=claude.base_url, auth_token="not it", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.create(model=NAME, max_tokens=5, messages=ASK)
