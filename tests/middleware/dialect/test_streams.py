"""Streams: the sequence of vLLM's chunks, whatever the reads; and text goes through untouched, whatever is in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.middleware.dialect.recorded import (
    RECORDINGS,
    chunks,
    shape,
    stream,
    streamed,
    theirs,
    told_of,
    vllms_chunks,
)

STREAMS = [
    name
    for name, exchange in RECORDINGS.items()
    if exchange["sglang"]["status"] == 200 and not exchange["sglang"]["body"].startswith("{")
]
TEXT = st.text(max_size=40) | st.sampled_from(
    [
        '"',
        "\\",
        '"},"logprobs":null,"finish_reason":null,"matched_stop":null}]}\n\n',
        'data: {"id":"x","choices":[{"index":0,"delta":{}}]}\n\n',
        "data: [DONE]\n\n",
        '"usage":{"error"',
        "漢字 🎉 \u2028",
    ]
)


def in_order(chunks_: list[Any]) -> list[Any]:
    """Without repetitions: how many chunks a text has is the engine's to decide."""
    shapes: list[Any] = []
    for chunk in chunks_:
        told = shape(chunk)
        if not shapes or shapes[-1] != told:
            shapes.append(told)
    return shapes


@pytest.mark.parametrize(
    "name", ["chat_stream", "chat_stream_usage", "tools_auto_stream", "completions_stream", "completions_stream_usage"]
)
def test_chunks_come_in_vllms_order_and_shape(name: str) -> None:
    assert in_order(streamed(name)) == in_order(vllms_chunks(name))


def test_usage_in_every_chunk_has_vllms_shape_and_numbers() -> None:
    ours, expected = streamed("chat_stream_continuous_usage"), vllms_chunks("chat_stream_continuous_usage")
    assert in_order(ours) == in_order(expected)
    assert [chunk and chunk.get("usage") for chunk in ours] == [chunk and chunk.get("usage") for chunk in expected]


def test_usage_that_nobody_asked_for_is_not_told() -> None:
    known = told_of("chat_stream_continuous_usage", stream_options=None)
    told = [chunk for chunk in streamed("chat_stream_continuous_usage", known) if chunk and chunk["choices"]]
    assert told
    assert not [chunk for chunk in told if "usage" in chunk]


def test_log_probabilities_are_told_in_vllms_order() -> None:
    ours, expected = streamed("chat_logprobs_stream"), vllms_chunks("chat_logprobs_stream")
    assert shape(ours[1]) == shape(expected[1])


def test_several_choices_share_one_id_and_each_end_has_the_fingerprint() -> None:
    ours = streamed("chat_n2_stream")
    told = [chunk for chunk in ours if chunk]
    assert len({chunk["id"] for chunk in told}) == 1
    ends = [chunk for chunk in told if chunk["choices"][0]["finish_reason"]]
    assert [end["system_fingerprint"] for end in ends] == ["vllm-0.33.0-a18d9812"] * 2
    roles = [chunk for chunk in told if "role" in chunk["choices"][0]["delta"]]
    assert [shape(role) for role in roles[:1]] == [shape(vllms_chunks("chat_n2_stream")[0])]


def test_reasoning_has_both_names() -> None:
    ours, expected = streamed("reasoning_constrained_stream"), vllms_chunks("reasoning_constrained_stream")
    texts = [chunk["choices"][0]["delta"].get("reasoning") for chunk in ours if chunk]
    assert texts == [chunk["choices"][0]["delta"].get("reasoning") for chunk in expected if chunk]
    for chunk in ours:
        delta = chunk["choices"][0]["delta"] if chunk else {}
        assert delta.get("reasoning_content") == delta.get("reasoning")


def test_reasoning_that_nobody_wants_is_not_told() -> None:
    known = told_of("reasoning_constrained_stream", include_reasoning=False)
    assert [chunk and chunk["choices"][0]["delta"] for chunk in streamed("reasoning_constrained_stream", known)] == [
        {"role": "assistant", "content": ""},
        {},
        None,
    ]


def test_a_tool_call_comes_in_vllms_pieces() -> None:
    ours = [chunk["choices"][0] for chunk in streamed("tools_named_stream") if chunk]
    first = ours[1]["delta"]["tool_calls"][0]
    assert ours[1]["delta"]["content"] is None
    assert list(first) == ["id", "type", "index", "function"]
    assert re.fullmatch(r"chatcmpl-tool-[0-9a-f]{16}", first["id"])
    assert first["function"] == {"name": "get_weather"}
    pieces = [choice["delta"]["tool_calls"][0] for choice in ours[2:-1]]
    assert all(list(piece) == ["index", "function"] for piece in pieces)
    assert json.loads("".join(piece["function"]["arguments"] for piece in pieces))["type"] == "object"
    assert (ours[-1]["delta"], ours[-1]["finish_reason"], ours[-1]["stop_reason"]) == ({}, "stop", None)


def test_a_line_end_behind_a_call_is_not_told() -> None:
    """SGLang's parser of hermes calls tells it as text. Behind a call that was asked for vLLM tells no text at all."""
    events = theirs("tools_named_stream").split(b"\n\n")
    text = json.loads(theirs("tools_auto_stream").split(b"\n\n")[1][6:])
    for content, choice, told in (("\n", "auto", []), ("\nMore", "auto", ["\nMore"]), ("\nMore", "named", [])):
        text["choices"][0]["delta"]["content"] = content
        behind = b"data: " + json.dumps(text, separators=(",", ":")).encode()
        editing = stream(replace(told_of("tools_named_stream"), tool_choice=choice))
        ours = chunks((editing.feed(b"\n\n".join([*events[:3], behind, *events[3:]])) + editing.finish()).decode())
        deltas = [chunk["choices"][0]["delta"] for chunk in ours[1:] if chunk]
        assert [delta["content"] for delta in deltas if delta.get("content")] == told


def test_log_probabilities_of_the_end_stand_in_the_end() -> None:
    """Behind a parser SGLang tells them in a chunk of their own."""
    events = theirs("chat_logprobs_stream").split(b"\n\n")
    alone = json.loads(events[2][6:])
    alone["choices"][0]["delta"] = {"reasoning_content": None}
    lonely = b"data: " + json.dumps(alone, separators=(",", ":")).encode()
    expected = alone["choices"][0]["logprobs"]["content"][0]["token"]
    for place, at_end in ((len(events) - 3, True), (2, False)):
        editing = stream(told_of("chat_logprobs_stream"))
        body = b"\n\n".join([*events[:place], lonely, *events[place:]])
        ours = chunks((editing.feed(body) + editing.finish()).decode())
        assert (ours[-2]["choices"][0]["logprobs"] is not None) is at_end
        lonely_place = -2 if at_end else 2
        assert ours[lonely_place]["choices"][0]["logprobs"]["content"][0]["token"] == expected
        assert ours[lonely_place]["choices"][0]["delta"] == {}


def test_token_ids_are_exact_and_stand_in_the_end() -> None:
    known = told_of("chat_return_ids_sglext_stream", return_token_ids=True)
    ours = streamed("chat_return_ids_sglext_stream", known)
    expected = vllms_chunks("chat_return_ids_sglext_stream")
    end = ours[-2]
    assert end["choices"][0]["token_ids"] == [
        token for chunk in expected[1:-2] for token in chunk["choices"][0]["token_ids"]
    ]
    assert end["prompt_token_ids"] == expected[0]["prompt_token_ids"]
    assert ours[-1] is None


def test_the_prompts_ids_come_first_if_they_are_known() -> None:
    known = told_of("chat_return_ids_sglext_stream", return_token_ids=True)
    known.prompt_token_ids = [1, 2, 3]
    ours = streamed("chat_return_ids_sglext_stream", known)
    assert ours[0]["prompt_token_ids"] == [1, 2, 3]
    assert "prompt_token_ids" not in ours[-2]


def test_sglangs_extensions_are_not_told_to_who_did_not_ask() -> None:
    assert in_order(streamed("chat_return_ids_sglext_stream")) == in_order(vllms_chunks("chat_stream"))


@pytest.mark.parametrize("name", STREAMS)
def test_it_does_not_matter_how_the_bytes_come(name: str) -> None:
    known = told_of(name)
    at_once = stream(known)
    expected = at_once.feed(theirs(name)) + at_once.finish()
    single = stream(known)
    one_by_one = b"".join(single.feed(theirs(name)[at : at + 1]) for at in range(len(theirs(name)))) + single.finish()
    assert without_made_up(one_by_one) == without_made_up(expected)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_split_changes_a_stream(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(STREAMS))
    body = theirs(name)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body) - 1), max_size=12)))
    known = told_of(name)
    whole, pieces = stream(known), stream(known)
    expected = whole.feed(body) + whole.finish()
    told = b"".join(pieces.feed(body[a:b]) for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True))
    assert without_made_up(told + pieces.finish()) == without_made_up(expected)


def without_made_up(told: bytes) -> bytes:
    return re.sub(rb"chatcmpl-tool-[0-9a-f]{16}", b"TOOL", told)


@given(
    texts=st.lists(TEXT, min_size=1, max_size=5),
    escaped=st.booleans(),
    kind=st.sampled_from(["content", "reasoning_content"]),
)
@settings(max_examples=200, deadline=None)
def test_text_goes_through_whatever_is_in_it(texts: list[str], escaped: bool, kind: str) -> None:
    name = "chat_stream" if kind == "content" else "reasoning_constrained_stream"
    lines = [json.loads(line[6:]) for line in theirs(name).decode().split("\n\n") if line.startswith("data: {")]
    first, one, last = lines[0], lines[1], lines[-1]
    events = [first]
    for text in texts:
        events.append(json.loads(json.dumps(one)))
        events[-1]["choices"][0]["delta"][kind] = text
    body = b"".join(
        b"data: "
        + json.dumps(event, separators=(",", ":"), ensure_ascii=escaped).encode(errors="surrogatepass")
        + b"\n\n"
        for event in [*events, last]
    )
    editing = stream(told_of(name))
    told = chunks((editing.feed(body + b"data: [DONE]\n\n") + editing.finish()).decode(errors="surrogatepass"))
    ours = "content" if kind == "content" else "reasoning"
    assert [chunk["choices"][0]["delta"][ours] for chunk in told[1:-2]] == texts


@given(texts=st.lists(TEXT, min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_a_completions_text_goes_through_too(texts: list[str]) -> None:
    one = json.loads(theirs("completions_stream").decode().split("\n\n")[0][6:])
    body = b""
    for text in texts:
        one["choices"][0]["text"] = text
        body += b"data: " + json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"
    editing = stream(told_of("completions_stream"))
    told = chunks((editing.feed(body) + editing.finish()).decode())
    assert [chunk["choices"][0]["text"] for chunk in told] == texts


@pytest.mark.parametrize("name", ["chat_stream", "completions_stream"])
def test_an_error_in_the_middle_is_vllms(name: str) -> None:
    flat = {"object": "error", "message": 'out of memory\n  File "/venv/x.py", line 1', "type": "BadRequestError"}
    error = json.dumps({"error": {**flat, "param": None, "code": 503}})  # With spaces, as SGLang writes it.
    first = theirs(name).split(b"\n\n")[0] + b"\n\n"
    editing = stream(told_of(name))
    told = chunks((editing.feed(first + f"data: {error}\n\ndata: [DONE]\n\n".encode()) + editing.finish()).decode())
    assert told[1:] == [
        {"error": {"message": "out of memory", "type": "ServiceUnavailableError", "param": None, "code": 503}},
        None,
    ]


def test_offsets_go_on_from_chunk_to_chunk() -> None:
    one = json.loads(theirs("completions_stream").decode().split("\n\n")[0][6:])
    body = b""
    for text in (" Paris", ".", "\n"):
        logprobs = {"text_offset": [-1], "token_logprobs": [-0.1], "tokens": [text], "top_logprobs": [{text: -0.1}]}
        one["choices"][0] |= {"text": text, "logprobs": logprobs}
        body += b"data: " + json.dumps(one).encode() + b"\n\n"
    editing = stream(told_of("completions_stream"))
    told = chunks((editing.feed(body) + editing.finish()).decode())
    assert [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in told] == [[0], [6], [7]]


def test_a_response_stream_has_vllms_responses() -> None:
    ours, expected = streamed("responses_stream"), vllms_chunks("responses_stream")
    for place in (0, 1, -1):
        assert list(ours[place]["response"]) == list(expected[place]["response"])
    assert [chunk["item"]["phase"] for chunk in ours if "item" in chunk] == [None, None]
    assert [chunk["type"] for chunk in ours] == [chunk["type"] for chunk in expected]
    ids = {chunk.get("item_id") or chunk.get("item", {}).get("id") for chunk in ours} - {None}
    assert len(ids) == 1
    assert re.fullmatch(r"msg_[0-9a-f]{16}", ids.pop())


@pytest.mark.parametrize(
    "event", [b"data: one\n\n", b": ping\n\n", b"data: {}\n\n", b'data: {"choices":5}\n\n', b"\n\n"]
)
def test_an_event_of_no_known_kind_goes_on_as_it_came(event: bytes) -> None:
    for name in ("chat_stream", "completions_stream", "responses_stream"):
        editing = stream(told_of(name))
        assert editing.feed(event) == event
        assert editing.finish() == b""


def test_a_stream_that_is_cut_keeps_its_ends_and_drops_what_came_in_half() -> None:
    body = theirs("chat_stream")
    editing = stream(told_of("chat_stream"))
    before = editing.feed(body[: body.index(b"data: [DONE]") + 3])
    told = chunks((before + editing.cut()).decode())
    assert told[-1]["choices"][0]["finish_reason"] == "stop"
