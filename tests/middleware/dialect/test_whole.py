"""Whole answers: vLLM's keys in vLLM's order, its nulls, and of SGLang's nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from middleware.dialect.reply import Whole, reply
from middleware.fields.told import Kind, Told
from tests.middleware.dialect.recorded import JSON, RECORDINGS, VOICE, shape, told_of, vllms, whole

SAME_SHAPE = [
    name
    for name, exchange in RECORDINGS.items()
    if exchange["sglang"]["status"] == 200
    and exchange["sglang"]["body"].startswith("{")
    and name not in {"reasoning_constrained", "completions_logprobs_echo", "tools_required_whole", "tools_roundtrip"}
    and name not in {"chat_n2", "responses_ok"}
]


@pytest.mark.parametrize("name", SAME_SHAPE)
def test_an_answer_has_the_shape_of_vllms(name: str) -> None:
    status, ours = whole(name)
    assert status == 200
    assert shape(ours) == shape(vllms(name))


@pytest.mark.parametrize("name", ["chat", "chat_stop", "chat_stop_token_ids", "chat_return_token_ids", "completions"])
def test_an_answer_of_the_same_text_is_vllms_but_for_id_and_time(name: str) -> None:
    ours, expected = whole(name)[1], vllms(name)
    assert re.fullmatch(r"(chatcmpl|cmpl)-[0-9a-f]{16}", ours["id"])
    assert ours | {"id": 0, "created": 0} == expected | {"id": 0, "created": 0}


def test_several_choices_have_one_id() -> None:
    ours = whole("chat_n2")[1]
    assert [choice["index"] for choice in ours["choices"]] == [0, 1]
    assert all(list(choice) == list(vllms("chat")["choices"][0]) for choice in ours["choices"])


def test_log_probabilities_of_a_completion_count_their_offsets() -> None:
    ours, expected = (
        answer["choices"][0]["logprobs"] for answer in (whole("completions_logprobs")[1], vllms("completions_logprobs"))
    )
    assert ours["text_offset"] == expected["text_offset"] == [0, 6, 7]
    assert ours["tokens"] == expected["tokens"]
    assert [list(top) for top in ours["top_logprobs"]] == [list(top) for top in expected["top_logprobs"]]


def test_an_echoed_prompt_counts_and_the_chosen_token_is_always_told() -> None:
    ours = whole("completions_logprobs_echo")[1]["choices"][0]["logprobs"]
    expected = vllms("completions_logprobs_echo")["choices"][0]["logprobs"]
    assert ours["text_offset"] == expected["text_offset"]
    assert ours["token_logprobs"][0] is None
    assert [top and set(top) for top in ours["top_logprobs"]] == [top and set(top) for top in expected["top_logprobs"]]


def test_reasoning_has_both_names_and_leaves_no_empty_content() -> None:
    message = whole("reasoning_constrained")[1]["choices"][0]["message"]
    expected = vllms("reasoning_constrained")["choices"][0]["message"]
    assert {**expected, "reasoning_content": expected["reasoning"]} == message
    assert list(message) == [*expected, "reasoning_content"]


def test_reasoning_is_kept_from_who_does_not_want_it() -> None:
    message = whole("reasoning_constrained", told_of("reasoning_constrained", include_reasoning=False))[1]["choices"][
        0
    ]["message"]
    assert message["reasoning"] is None
    assert message["content"] is None
    assert "reasoning_content" not in message


def test_tool_calls_have_vllms_ids_and_no_index() -> None:
    choice, expected = (
        answer["choices"][0] for answer in (whole("tools_required_whole")[1], vllms("tools_required_whole"))
    )
    assert list(choice["message"]) == list(expected["message"])
    (call,) = choice["message"]["tool_calls"]
    assert list(call) == ["id", "type", "function"]
    assert re.fullmatch(r"chatcmpl-tool-[0-9a-f]{16}", call["id"])
    assert choice["message"]["content"] == ""
    assert choice["finish_reason"] == "tool_calls"


def test_a_call_that_the_model_chose_leaves_no_empty_content() -> None:
    known = told_of("tools_required_whole", tool_choice="auto")
    assert whole("tools_required_whole", known)[1]["choices"][0]["message"]["content"] is None


def test_a_function_that_was_named_ends_with_stop() -> None:
    known = told_of("tools_required_whole", tool_choice={"type": "function", "function": {"name": "get_weather"}})
    assert whole("tools_required_whole", known)[1]["choices"][0]["finish_reason"] == "stop"


def test_calls_in_parallel_are_cut_to_the_first() -> None:
    call = {"id": "functions.f:0", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "", "tool_calls": [call, {**call, "id": "functions.f:1", "index": 1}]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    answer = {"id": "x", "object": "o", "created": 1, "model": "m", "choices": [choice], "usage": {}}
    for parallel, ids in ((True, ["functions.f:0", "functions.f:1"]), (False, ["functions.f:0"])):
        calls = retold(answer, told_of("chat", parallel_tool_calls=parallel))["choices"][0]["message"]["tool_calls"]
        assert [call["id"] for call in calls] == ids


def retold(answer: Any, known: Any) -> Any:
    import json

    editing = reply(200, JSON, known, VOICE)
    assert isinstance(editing, Whole)
    return json.loads(editing.retold(json.dumps(answer).encode())[1])


def test_the_prompts_cached_tokens_are_told_with_the_flag_alone() -> None:
    assert whole("cache_details")[1]["usage"]["prompt_tokens_details"] is None
    details = whole("cache_details", voice=replace(VOICE, prompt_tokens_details=True))[1]["usage"][
        "prompt_tokens_details"
    ]
    assert list(details) == ["cached_tokens", "created_cache_tokens", "multimodal_tokens"]


def test_the_model_is_named_as_the_client_named_it() -> None:
    assert whole("chat", told_of("chat", model="alias"))[1]["model"] == "alias"
    assert whole("chat", told_of("chat", model=None))[1]["model"] == "smollm2-135m"


def test_the_versions_of_the_weights_are_told_to_who_asks() -> None:
    assert whole("chat", told_of("chat", return_weight_versions=True))[1]["choices"][0]["weight_versions"] == [
        {"version": "default", "start": 0, "end": 8}
    ]


def test_minus_infinity_is_vllms_number() -> None:
    from middleware.dialect.logprobs import chat

    token = {"token": "a", "bytes": [97], "logprob": None}
    told = chat({"content": [{**token, "top_logprobs": [token]}]})["content"][0]
    assert told["logprob"] == told["top_logprobs"][0]["logprob"] == -9999.0


def test_tokens_are_told_as_ids_where_sglang_tells_the_ids() -> None:
    from middleware.dialect.logprobs import chat

    token = {"token": "a", "bytes": [97], "logprob": -1.0}
    meta = {"output_token_logprobs": [[-1.0, 504, "a"]], "output_top_logprobs": [[[-1.0, 504, "a"]]]}
    told = chat({"content": [{**token, "top_logprobs": [token]}]}, meta)["content"][0]
    assert (told["token"], told["bytes"]) == ("token_id:504", [97])
    assert bytes(told["top_logprobs"][0]["bytes"]) == b"token_id:504"


def test_a_response_has_vllms_keys_and_keeps_the_id_by_which_it_is_found() -> None:
    ours, expected = whole("responses_ok")[1], vllms("responses_ok")
    assert list(ours) == list(expected)
    assert ours["id"].startswith("resp_")
    same = set(expected) - {"id", "created_at", "output", "usage", "max_output_tokens"}
    assert {name: ours[name] for name in same} == {name: expected[name] for name in same}
    assert shape(ours["usage"]) == shape(expected["usage"])
    # Recorded without the two tokens that SGLang is asked for beside the client's.
    assert ours["max_output_tokens"] == expected["max_output_tokens"] - 2


@pytest.mark.parametrize("body", [b"{}", b'{"choices":1}', b'{"choices":[{}]}', b"nonsense", b"[]", b"\xff"])
def test_what_is_no_answer_goes_on_as_it_came(body: bytes) -> None:
    editing = reply(200, JSON, told_of("chat"), VOICE)
    assert isinstance(editing, Whole)
    assert editing.retold(body) == (200, body)


def test_a_packed_answer_is_not_touched() -> None:
    assert reply(200, [*JSON, (b"content-encoding", b"gzip")], told_of("chat"), VOICE) is None


def test_with_a_reasoning_parser_thoughts_are_always_counted() -> None:
    assert whole("chat")[1]["usage"]["completion_tokens_details"] is None
    editing = reply(200, JSON, told_of("chat"), replace(VOICE, reasoning=True))
    assert isinstance(editing, Whole)
    _, body = editing.retold(RECORDINGS["chat"]["sglang"]["body"].encode())
    assert json.loads(body)["usage"]["completion_tokens_details"] == {"reasoning_tokens": 0}


def test_a_response_is_told_with_vllms_nulls_and_as_long_as_the_client_asked() -> None:
    item = {"id": "msg_a", "type": "message", "status": "completed", "role": "assistant", "content": []}
    thought = {"id": "rs_a", "type": "reasoning", "status": "completed", "summary": []}
    text = {"format": {"type": "json_schema", "name": "p", "schema": {}}}
    answer = {"id": "resp_a", "output": [thought, item], "status": "incomplete", "max_output_tokens": 12, "text": text}
    editing = reply(200, JSON, Told(Kind.RESPONSE, top_logprobs=2), VOICE)
    assert isinstance(editing, Whole)
    told = json.loads(editing.retold(json.dumps(answer | {"usage": None, "model": "m"}).encode())[1])
    assert [one["status"] for one in told["output"]] == [None, "incomplete"]
    assert (told["max_output_tokens"], told["top_logprobs"]) == (10, 2)
    assert told["text"]["verbosity"] is None
    assert told["text"]["format"] == {"description": None, "strict": None, **text["format"]}


def test_a_stored_response_that_failed_says_why_and_repeats_tools_as_vllm_does() -> None:
    call = {
        "id": "fc_1a3ca14a",
        "type": "function_call",
        "call_id": "call_a",
        "name": "f",
        "arguments": "{",
        "status": "completed",
    }
    tool = {"type": "function", "name": "f", "tools": None, "format": None, "strict": False, "defer_loading": None}
    error = {"code": "server_error", "message": "It failed in /opt/sglang/srt/x.py"}
    answer = {"id": "resp_a", "output": [call], "status": "incomplete", "error": error, "tools": [tool], "model": "m"}
    editing = reply(200, JSON, Told(Kind.RESPONSE), VOICE)
    assert isinstance(editing, Whole)
    told = json.loads(editing.retold(json.dumps(answer).encode())[1])
    assert (told["error"]["code"], "/opt" in told["error"]["message"]) == ("server_error", False)
    assert list(told["tools"][0]) == ["name", "parameters", "strict", "type", "defer_loading", "description"]
    assert (told["output"][0]["status"], told["output"][0]["namespace"]) == ("incomplete", None)
