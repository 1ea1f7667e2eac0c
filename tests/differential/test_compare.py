"""The comparison sees what a client would see, and overlooks what the model decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.differential.compare import compare
from tests.differential.difference import Accepted
from tests.differential.wire import Answer, Judged, Request

REQUEST = Request("POST", "/v1/chat/completions", {}, b"{}")


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, {"content-type": "application/json", **(headers or {})}, json.dumps(document).encode())


def stream(*documents: Any) -> Answer:
    data = "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in documents)
    return Answer(200, {"content-type": "text/event-stream; charset=utf-8"}, data.encode())


def found(ours: Answer, theirs: Answer) -> list[tuple[str, str]]:
    return [(d.where, d.kind) for d in compare(Judged("x", REQUEST, theirs), ours)]


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-0123456789abcdef", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({"a": 1}, {"a": 2}, []),
        ({"text": "Paris"}, {"text": "London"}, []),
        ({"id": "chatcmpl-00000000000000ab"}, {"id": "chatcmpl-93487238abcdef01"}, []),
        ({"id": "036dfeb59b8d41969da7cc2e9eadec5a"}, {"id": "chatcmpl-93487238abcdef01"}, [("id", "value")]),
        ({"a": 1}, {"a": 1, "b": None}, [("b", "missing")]),
        ({"a": 1, "b": {"c": 1}}, {"a": 1}, [("b", "extra")]),
        ({"a": None}, {"a": {"b": 1}}, [("a", "type")]),
        ({"created": 1.5}, {"created": 1}, [("created", "type")]),
        ({"choices": [{}, {}]}, {"choices": [{}]}, [("choices", "length")]),
        ({"token_ids": [1, 2]}, {"token_ids": [1]}, []),
        ({"prompt_token_ids": [1, 2]}, {"prompt_token_ids": [1, 3]}, [("prompt_token_ids", "value")]),
        ({"choices": [{"a": 1}, {}]}, {"choices": [{"a": 1}, {"a": 2}]}, [("choices[].a", "presence")]),
        ({"finish_reason": "stop"}, {"finish_reason": "length"}, []),
        ({"finish_reason": "stop"}, {"finish_reason": "tool_calls"}, [("finish_reason", "value")]),
        ({"error": {"code": 400}}, {"error": {"code": 404}}, [("error.code", "value")]),
        ({"error": {"message": "a"}}, {"error": {"message": "b"}}, [("error.message", "text")]),
        ({"top_logprobs": {"a": 0.1}}, {"top_logprobs": {"b": 0.1}}, []),
        ({"b": 1, "a": 1}, {"a": 1, "b": 1}, [("$", "order")]),
    ],
)  # fmt: skip
def test_documents(ours: Any, theirs: Any, expected: list[tuple[str, str]]) -> None:
    assert found(answer(ours), answer(theirs)) == expected


def test_another_status_is_all_that_is_said() -> None:
    assert found(answer({"a": 1}, 200), answer({"b": 1}, 400)) == [("status", "status")]


def test_headers() -> None:
    ours, theirs = (
        answer({}, headers={"vary": "Origin", "date": "x"}),
        answer({}, headers={"allow": "GET", "x-request-id": "ab"}),
    )
    assert found(ours, theirs) == [
        ("header allow", "missing"),
        ("header vary", "extra"),
        ("header x-request-id", "missing"),
    ]


def test_the_number_of_chunks_is_the_models() -> None:
    ours = stream(delta(role="assistant", content=""), delta(content="a"), delta("stop"), "[DONE]")
    theirs = stream(
        delta(role="assistant", content=""), delta(content="a"), delta(content="b"), delta("stop"), "[DONE]"
    )
    assert found(ours, theirs) == []


def test_a_sequence_of_other_chunks_is_seen() -> None:
    ours = stream(delta(content="a"), delta("length"), "[DONE]")
    theirs = stream(delta(content="a"), delta("length", content="b"), "[DONE]")
    assert found(ours, theirs) == [("stream", "sequence")]


def test_keys_of_a_chunk_are_compared_with_those_of_its_kind() -> None:
    ours = stream(delta(content="a"), delta("stop", content=None), "[DONE]")
    theirs = stream(delta(content="a"), delta("stop"), "[DONE]")
    assert found(ours, theirs) == [("<finish>.choices[].delta.content", "extra")]


def test_an_accepted_difference_is_found_by_name_or_by_route() -> None:
    judged = Judged("emb_list", REQUEST, answer({"a": None}))
    (difference,) = compare(judged, answer({}))
    assert Accepted("emb_* | x", "a", "missing", "why").covers(difference, judged)
    assert Accepted("POST /v1/*", "*", "*", "why").covers(difference, judged)
    assert not Accepted("x", "a", "missing", "why").covers(difference, judged)
    assert not Accepted("*", "b*", "missing", "why").covers(difference, judged)
