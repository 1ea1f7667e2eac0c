"""/v1/responses over a chat of SGLang's: what is asked of it, and what becomes of its answers, whole and streamed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import NAME, Sglang, behind
from tests.middleware.serving import Served

PATH = "/v1/responses"
CHAT = "/v1/chat/completions"
TOOLS = [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": None}]
SPACE = {"type": "namespace", "name": "n", "description": "", "tools": TOOLS}
USAGE = {"prompt_tokens": 30, "total_tokens": 35, "completion_tokens": 5}
TOO_LONG = "The input (3031 tokens) is longer than the model's context length (2048 tokens)."
HEAD = {"id": "x", "created": 1, "model": NAME}


def whole(message: dict[str, Any], reason: str = "stop", logprobs: Any = None) -> dict[str, Any]:
    said = {"role": "assistant", "content": None, "reasoning_content": None, "tool_calls": None, **message}
    choice = {"index": 0, "message": said, "logprobs": logprobs, "finish_reason": reason, "matched_stop": None}
    return {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}


def call(name: str, arguments: str | None, index: int = 0) -> dict[str, Any]:
    function = {"name": name or None, "arguments": arguments}
    return {"id": f"call_{index:024x}" if name else None, "index": index, "type": "function", "function": function}


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def streamed(*deltas: dict[str, Any], reason: str = "stop", failing: bool = False) -> bytes:
    def chunk(delta: dict[str, Any], ended: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": ended, "matched_stop": None}
        return event({**HEAD, "object": "chat.completion.chunk", "choices": [choice], "usage": USAGE})

    events = [chunk(delta) for delta in ({"role": "assistant", "content": ""}, *deltas)]
    if failing:
        events.append(
            event({"error": {"code": 500, "message": "The scheduler is gone.", "type": "InternalServerError"}})
        )
    else:
        events += [chunk({}, reason), event({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})]
    return stream(*events, b"data: [DONE]\n\n")


def stream(*events: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + b"".join(events)


@contextmanager
def over(answer: Any, **policy: Any) -> Iterator[tuple[Served, Sglang]]:
    engine = Sglang(answers={CHAT: answer})
    with behind(engine, policy=Policy(**policy)) as front:
        yield front, engine


def ask(answer: Any, body: dict[str, Any] | None = None, **policy: Any) -> tuple[httpx.Response, dict[str, Any]]:
    """The answer, and the chat that SGLang was asked for."""
    with over(answer, **policy) as (front, engine):
        told = front.post(PATH, json={"input": "hi", **(body or {})})
        asked = engine.of(CHAT)
        return told, asked[0] if asked else {}


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = []
    for block in answer.text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        told.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {told[-1]['type']}"
    assert [one["sequence_number"] for one in told] == list(range(len(told)))
    return told


def kinds(told: list[dict[str, Any]]) -> list[str]:
    return [one["type"].removeprefix("response.") for one in told]


MESSAGE_BEGUN = ["output_item.added", "content_part.added"]
MESSAGE_ENDED = ["output_text.done", "content_part.done", "output_item.done"]


def test_a_response_is_a_chats() -> None:
    body = {"model": NAME, "instructions": "Be brief.", "max_output_tokens": 9, "temperature": 0, "top_p": 0.5,
            "request_id": "resp_mine", "metadata": {"a": "b"}, "store": True}  # fmt: skip
    answer, asked = ask(whole({"content": "Hello"}), body)
    assert asked["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    assert (asked["max_completion_tokens"], asked["temperature"]) == (9, 0)
    assert asked["rid"].startswith("chatcmpl-resp_mine-")
    assert set(asked) <= {"model", "messages", "max_completion_tokens", "temperature", "top_p", "rid"}
    told = answer.json()
    assert (told["id"], told["status"], told["metadata"]) == ("resp_mine", "completed", {"a": "b"})
    assert (told["temperature"], told["top_p"]) == (0.0, 1.0)  # which means nothing to who takes the best token
    assert told["max_output_tokens"] == 9
    [item] = told["output"]
    assert re.fullmatch(r"msg_[0-9a-f]{16}", item.pop("id"))
    part: dict[str, Any] = {"annotations": [], "text": "Hello", "type": "output_text", "logprobs": None}
    assert item == {"content": [part], "role": "assistant", "status": "completed", "type": "message", "phase": None}
    assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == (30, 5)


def test_an_answer_that_says_no_length_has_the_room_behind_the_prompt() -> None:
    assert ask(whole({"content": "Hello"}))[0].json()["max_output_tokens"] == 2048 - 30
    told = events(ask(streamed({"content": "Hello"}), {"stream": True})[0])
    assert [one["response"]["max_output_tokens"] for one in told if "response" in one] == [2048 - 30] * 3


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"structured_outputs": {"regex": "a+"}}, {"regex": "a+"}),
        ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
        ({"seed": 5, "stop": "x", "ignore_eos": True}, {"seed": 5, "stop": "x", "ignore_eos": True}),
        ({"stop_token_ids": [5], "logit_bias": {"7": 1}}, {"stop_token_ids": [5], "logit_bias": {"7": 1}}),
        ({"top_logprobs": 3}, {}),  # not without `include`
        ({"tools": TOOLS, "tool_choice": "none"}, {"tool_choice": "none"}),
        ({"prompt_cache_key": "k", "user": None, "metadata": None, "tools": []}, {}),
    ],
)
def test_what_a_request_asks_for_the_chat_asks_for(body: dict[str, Any], sent: dict[str, Any]) -> None:
    answer, asked = ask(whole({"content": "Hello"}), body)
    assert answer.status_code == 200
    for name in ("messages", "model", "rid"):
        asked.pop(name, None)
    tools = asked.pop("tools", [])
    assert [tool["function"]["name"] for tool in tools] == [tool["name"] for tool in body.get("tools", ())]
    assert asked == sent


def test_a_constraint_of_two_kinds_is_refused() -> None:
    body = {"structured_outputs": {"regex": "a"}, "text": {"format": {"type": "json_object"}}}
    assert "Cannot specify both structured_outputs and text.format" in ask(whole({}), body)[0].text
    answer, _ = ask(whole({}), {"text": {"format": {"type": "bogus"}}})
    assert answer.json()["error"]["param"] == "body.text.format.type"


def test_calls_are_told_with_vllms_ids_and_names() -> None:
    calls = {"tool_calls": [call("f", "{}"), call("n__f", '{"a":', 1)]}
    answer, asked = ask(
        whole({"content": "", **calls}, "length"), {"tools": [*TOOLS, SPACE], "tool_choice": "required"}
    )
    assert asked["tool_choice"] == "required"
    told = answer.json()
    assert told["incomplete_details"] == {"reason": "max_output_tokens"}
    for item in told["output"]:
        assert re.fullmatch(r"fc_[0-9a-f]{16}", item.pop("id"))
        assert re.fullmatch(r"chatcmpl-tool-[0-9a-f]{16}", item.pop("call_id"))
    first, second = told["output"]
    assert first == {"arguments": "{}", "name": "f", "type": "function_call", "namespace": None, "status": "completed"}
    assert second | {"arguments": ""} == first | {"arguments": "", "namespace": "n", "status": "incomplete"}
    keys = ["name", "parameters", "strict", "type", "defer_loading", "description"]
    assert list(told["tools"][0]) == keys
    assert told["tool_choice"] == "required"


def test_a_tool_of_free_text_is_called_with_the_text() -> None:
    custom = {"tools": [{"type": "custom", "name": "sh"}]}
    answer, _ = ask(whole({"tool_calls": [call("sh", '{"input": "ls"}')]}, "tool_calls"), custom)
    [item] = answer.json()["output"]
    assert (item["type"], item["input"], item["name"]) == ("custom_tool_call", "ls", "sh")
    pieces = streamed(
        {"tool_calls": [call("sh", "")]}, {"tool_calls": [call("", '{"input": "ls"}')]}, reason="tool_calls"
    )
    told = events(ask(pieces, {**custom, "stream": True})[0])
    begun = ["output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done"]
    assert kinds(told)[2:-1] == begun
    assert told[-2]["item"]["input"] == "ls"


def test_thoughts_are_an_item_of_their_own() -> None:
    answer, _ = ask(whole({"content": "4", "reasoning_content": "2+2"}), reasoning_parser=True)
    thought, message = answer.json()["output"]
    assert (thought["type"], thought["status"], thought["content"][0]["text"]) == ("reasoning", None, "2+2")
    assert message["content"][0]["text"] == "4"
    hidden, _ = ask(whole({"content": "4", "reasoning_content": "2+2"}), {"include_reasoning": False})
    assert [item["type"] for item in hidden.json()["output"]] == ["message"]


def test_log_probabilities_are_in_the_order_of_responses() -> None:
    top = {"token": "Hello", "logprob": -0.5, "bytes": [72]}
    logprobs = {"content": [{**top, "top_logprobs": [top]}]}
    body = {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
    answer, asked = ask(whole({"content": "Hello"}, logprobs=logprobs), body)
    assert (asked["logprobs"], asked["top_logprobs"]) == (True, 1)
    told = answer.json()
    assert told["top_logprobs"] == 1
    [token] = told["output"][0]["content"][0]["logprobs"]
    assert list(token) == ["token", "bytes", "logprob", "top_logprobs"]


def test_no_text_is_no_message_where_somebody_parses() -> None:
    assert ask(whole({"content": ""}))[0].json()["output"] == []
    [item] = ask(whole({"content": ""}), tool_parser=False, auto_tool_choice=False)[0].json()["output"]
    assert item["content"] == []


def test_a_stream_has_vllms_events() -> None:
    answer, asked = ask(streamed({"content": "Hel"}, {"content": "lo"}, reason="length"), {"stream": True})
    assert asked["stream_options"]["include_usage"]
    told = events(answer)
    assert kinds(told) == [
        "created", "in_progress", *MESSAGE_BEGUN, "output_text.delta", "output_text.delta", *MESSAGE_ENDED, "incomplete"
    ]  # fmt: skip
    assert told[0]["response"] == told[1]["response"]
    assert (told[0]["response"]["status"], told[0]["response"]["usage"]) == ("in_progress", None)
    last = told[-1]["response"]
    assert last["output"] == [told[-2]["item"]]
    assert (last["output"][0]["status"], last["status"]) == ("incomplete", "incomplete")
    assert last["usage"]["total_tokens"] == 35
    assert len({one.get("item_id") or one["item"]["id"] for one in told[2:-1]}) == 1


def test_a_stream_goes_from_thoughts_over_words_to_calls() -> None:
    pieces = (
        {"reasoning_content": "hm"},
        {"content": "Let me see."},
        {"tool_calls": [call("f", "")]},
        {"tool_calls": [call("", '{"a"')]},
        {"tool_calls": [call("", ":1}")]},
        {"tool_calls": [call("f", "", 1)]},
        {"tool_calls": [call("", "{}", 1)]},
    )
    told = events(ask(streamed(*pieces, reason="tool_calls"), {"tools": TOOLS, "stream": True})[0])
    arguments = ["function_call_arguments.delta"]
    called = ["function_call_arguments.done", "output_item.done"]
    assert kinds(told)[2:-1] == [
        *MESSAGE_BEGUN, "reasoning_text.delta", "reasoning_text.done", *MESSAGE_ENDED[1:],
        *MESSAGE_BEGUN, "output_text.delta", *MESSAGE_ENDED,
        "output_item.added", *arguments * 2, *called,
        "output_item.added", *arguments, *called,
    ]  # fmt: skip
    items = [one["item"] for one in told if one["type"] == "response.output_item.done"]
    assert told[-1]["response"]["output"] == items
    assert [item.get("arguments") for item in items] == [None, None, '{"a":1}', "{}"]
    assert len({item["call_id"] for item in items[2:]}) == 2
    assert [one["output_index"] for one in told if one["type"] == "response.output_item.added"] == [0, 1, 2, 3]


def test_behind_a_call_that_was_asked_for_there_is_no_stray_text() -> None:
    pieces = ({"tool_calls": [call("f", "{}")]}, {"content": "\n\nand so on"})
    body = {"tools": TOOLS, "tool_choice": "required", "stream": True}
    told = events(ask(streamed(*pieces, reason="length"), body)[0])
    [item] = told[-1]["response"]["output"]
    assert (item["type"], item["status"]) == ("function_call", "incomplete")


@pytest.mark.parametrize(
    "refusal",
    [
        (400, {"object": "error", "message": TOO_LONG, "type": "BadRequestError", "param": None, "code": 400}),
        stream(event({"error": {"code": 400, "message": TOO_LONG}}), b"data: [DONE]\n\n"),
    ],
    ids=["before the stream", "as its first event"],
)
def test_a_stream_that_never_begins_is_a_400(refusal: Any) -> None:
    answer, _ = ask(refusal, {"stream": True})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    told = answer.json()["error"]
    assert "2048 tokens" in told["message"]
    assert told["code"] == 400


def test_a_stream_that_fails_says_why() -> None:
    told = events(ask(streamed({"content": "Hel"}, failing=True), {"stream": True})[0])
    assert kinds(told)[-4:] == [*MESSAGE_ENDED, "failed"]
    last = told[-1]["response"]
    assert (last["status"], last["error"]["code"]) == ("failed", "server_error")
    assert last["error"]["message"]
    assert last["output"][0]["status"] == "incomplete"


def test_an_engine_that_goes_in_the_middle_is_told_too() -> None:
    body = streamed({"content": "Hel"}).partition(b'"finish_reason": "stop"')[0]
    cut = body.replace(b"connection: close\r\n", b"transfer-encoding: chunked\r\n")
    head, _, rest = cut.partition(b"\r\n\r\n")
    told = events(ask(head + b"\r\n\r\n%x\r\n%b\r\n" % (len(rest), rest), {"stream": True})[0])
    assert told[-1]["type"] == "response.failed"
    assert "Please retry" in told[-1]["response"]["error"]["message"]


@pytest.mark.parametrize(
    ("body", "words", "param"),
    [
        ({"input": []}, "Cannot apply chat template to an empty conversation. Provide at least one message.", None),
        ({"input": [{"type": "bogus"}]}, "Unsupported input item type: bogus (parameter=input)", "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
         "Unknown part type: input_file", None),
        ({"max_output_tokens": 9999}, "max_output_tokens=9999 cannot be greater than max_model_len=2048.",
         "max_output_tokens"),
        ({"model": "nobody"}, "The model `nobody` does not exist.", "model"),
        ({"tool_choice": "required"}, "Tool choice 'required' must be specified with 'tools'", "tool_choice"),
        ({"input": 5}, "Input should be a valid string", "body.input.str"),
    ],
)  # fmt: skip
def test_refusals_are_one_sentence(body: dict[str, Any], words: str, param: str | None) -> None:
    answer, _ = ask((400, {"message": "Messages cannot be empty.", "code": 400}), body)
    told = answer.json()["error"]
    assert words in told["message"]
    assert told["param"] == param
    assert answer.status_code == told["code"] == (404 if param == "model" else 400)
    assert not told["message"].endswith("None")


def test_a_chats_answer_that_is_none_is_a_502() -> None:
    assert ask({"choices": []})[0].status_code == 502


def test_each_answer_is_dressed_once() -> None:
    with over(whole({"content": "Hello"}), request_id_headers=True, allowed_origins=("*",)) as (front, _):
        answer = front.post(PATH, json={"input": "hi"}, headers={"x-request-id": "mine", "origin": "http://a"})
        assert answer.headers.get_list("x-request-id") == ["mine"]
        assert len(answer.headers.get_list("access-control-allow-origin")) == 1
        assert answer.json()["id"].startswith("resp_")
