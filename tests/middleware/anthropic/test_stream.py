"""A chat's stream as vLLM 0.33.0 tells it to Anthropic's clients."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from middleware.anthropic.stream import MessageStream

COUNTED = {"prompt_tokens": 37, "total_tokens": 37, "completion_tokens": 0}
DETAILS = {"cached_tokens": 30, "created_cache_tokens": 0}
LAST = {"prompt_tokens": 37, "total_tokens": 45, "completion_tokens": 8, "prompt_tokens_details": DETAILS}


def chunk(delta: dict[str, Any], **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, **choice}]}


def chunks(*between: dict[str, Any], finish: str = "stop", stop: Any = None) -> bytes:
    begun = {**chunk({"role": "assistant", "content": ""}), "usage": COUNTED}
    ended = chunk({}, finish_reason=finish, stop_reason=stop)
    told = [begun, *between, ended, {"choices": [], "usage": LAST}]
    lines = [json.dumps({"id": "chatcmpl-a", "model": "m", **one}) for one in told]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


def events(data: bytes, *, stops: bool = True) -> list[dict[str, Any]]:
    stream = MessageStream(stops=stops)
    told = (stream.feed(data) + stream.finish()).decode()
    assert told.endswith("\n\n")
    found = []
    for event in told.split("\n\n")[:-1]:
        name, line = event.split("\n")
        found.append(json.loads(line.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def call(number: int = 0, **function: str) -> dict[str, Any]:
    named = {"id": f"chatcmpl-tool-{number}", "type": "function"} if "name" in function else {}
    return chunk({"tool_calls": [{"index": number, **named, "function": function}]})


def ending(told: list[dict[str, Any]]) -> tuple[str, str | None]:
    delta = next(event["delta"] for event in told if event["type"] == "message_delta")
    return delta["stop_reason"], delta["stop_sequence"]


def test_a_text_comes_piece_by_piece_between_its_beginning_and_its_end() -> None:
    told = events(chunks(chunk({"content": "a"}), chunk({"content": "b"})))
    assert told == [
        {"type": "message_start", "message": {
            "id": "chatcmpl-a", "type": "message", "role": "assistant", "content": [], "model": "m",
            "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 37, "output_tokens": 0}}},
        {"type": "content_block_start", "content_block": {"type": "text", "text": ""}, "index": 0},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}, "index": 0},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "b"}, "index": 0},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"input_tokens": 7, "output_tokens": 8,
                   "cache_creation_input_tokens": 0, "cache_read_input_tokens": 30}},
        {"type": "message_stop"},
    ]  # fmt: skip


def test_thoughts_are_signed_when_they_end() -> None:
    told = events(chunks(chunk({"reasoning": "hm", "reasoning_content": "hm"}), chunk({"content": "a"})))
    assert [event["type"] for event in told[1:5]] == [
        "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
    ]  # fmt: skip
    assert told[1]["content_block"] == {"type": "thinking", "thinking": ""}
    assert told[2]["delta"] == {"type": "thinking_delta", "thinking": "hm"}
    assert told[3]["delta"]["type"] == "signature_delta"
    assert re.fullmatch("[0-9a-f]{32}", told[3]["delta"]["signature"])
    assert told[5]["index"] == 1


def test_calls_come_as_blocks_of_their_own() -> None:
    told = events(chunks(call(name="f"), call(arguments='{"a":'), call(arguments="1}"), call(1, name="g"),
                         call(1, arguments="{}"), finish="tool_calls"))  # fmt: skip
    starts = [event["content_block"] for event in told if event["type"] == "content_block_start"]
    assert starts == [
        {"type": "tool_use", "id": "chatcmpl-tool-0", "name": "f", "input": {}},
        {"type": "tool_use", "id": "chatcmpl-tool-1", "name": "g", "input": {}},
    ]
    pieces = [event["delta"]["partial_json"] for event in told if event.get("delta", {}).get("partial_json")]
    assert pieces == ['{"a":', "1}", "{}"]
    assert ending(told) == ("tool_use", None)


def test_a_text_in_the_middle_of_a_call_waits_for_its_end() -> None:
    told = events(chunks(call(name="f"), chunk({"content": "so"}), call(arguments="{}")))
    kinds = [event["content_block"]["type"] for event in told if event["type"] == "content_block_start"]
    assert kinds == ["tool_use", "text"]
    assert [event["index"] for event in told if event["type"] == "content_block_stop"] == [0, 1]


@pytest.mark.parametrize(
    ("between", "finish", "stop", "expected"),
    [
        ([], "stop", "END", ("stop_sequence", "END")),
        ([], "stop", 7, ("end_turn", None)),
        ([], "length", "END", ("max_tokens", None)),
        ([], "abort", None, (None, None)),
        ([call(name="f", arguments="{}")], "stop", None, ("tool_use", None)),
        ([call(name="f", arguments="{}")], "stop", "END", ("tool_use", None)),
        ([call(name="f", arguments='{"a')], "stop", "END", ("stop_sequence", "END")),
        ([call(name="f", arguments='{"a')], "length", None, ("max_tokens", None)),
    ],
)
def test_why_it_ended(between: list[Any], finish: str, stop: Any, expected: tuple[str | None, str | None]) -> None:
    assert ending(events(chunks(*between, finish=finish, stop=stop))) == expected


def test_an_error_in_the_middle_is_an_event_of_anthropics_and_the_end() -> None:
    body = chunks(chunk({"content": "a"})).split(b"\n\n")
    failed = b'data: {"error":{"message":"gone","type":"ServiceUnavailableError","param":null,"code":503}}'
    told = events(b"\n\n".join([*body[:2], failed, b"data: [DONE]\n\n"]))
    assert [event["type"] for event in told[-2:]] == ["content_block_stop", "error"]
    assert told[-1]["error"] == {"type": "overloaded_error", "message": "gone"}


def test_it_does_not_matter_how_the_bytes_come() -> None:
    data = chunks(chunk({"content": "é"}), call(name="f", arguments="{}"))
    stream = MessageStream(stops=False)
    told = b"".join(stream.feed(data[at : at + 1]) for at in range(len(data))) + stream.finish()
    at_once = MessageStream(stops=False)
    assert told == at_once.feed(data) + at_once.finish()


def test_nothing_is_kept_of_a_long_call_that_no_stop_sequence_can_cut() -> None:
    stream = MessageStream(stops=False)
    stream.feed(chunks(call(name="f"), *[call(arguments="x" * 100)] * 100)[:-20])
    assert stream._arguments == []
