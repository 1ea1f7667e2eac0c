"""Errors: vLLM's envelope, words, type and parameter, and nothing of where the server's files lie."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.dialect import errors
from middleware.dialect.scrub import scrubbed
from middleware.errors import error_body
from middleware.fields.told import Kind, Told
from tests.middleware.dialect.recorded import RECORDINGS, told_of, vllms, whole

# Other limits were set, other branches tried, or (missing messages) SGLang counts a field that it has added itself.
OTHER_WORDS = {
    "err_max_tokens_too_large",
    "err_missing_messages",
    "err_prompt_too_long",
    "err_response_format_type",
    "err_stop_type",
}
FAILED = [
    name
    for name, exchange in RECORDINGS.items()
    if exchange["sglang"]["status"] >= 400 and exchange["vllm"]["status"] >= 400
]


@pytest.mark.parametrize("name", [name for name in FAILED if name not in OTHER_WORDS])
def test_an_error_is_word_for_word_vllms(name: str) -> None:
    assert whole(name) == (RECORDINGS[name]["vllm"]["status"], vllms(name))


@pytest.mark.parametrize("name", ["err_stop_type", "err_response_format_type"])
def test_branches_of_a_union_are_not_named(name: str) -> None:
    _, ours = whole(name)
    expected = vllms(name)["error"]
    assert {key: ours["error"][key] for key in ("type", "param", "code")} == {
        key: expected[key] for key in ("type", "param", "code")
    }
    assert "(" not in ours["error"]["param"]


def told(message: str, kind: Kind = Kind.CHAT, status: int = 400, **more: Any) -> tuple[int, Any]:
    body = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": status}
    status, retold = errors.retold(status, json.dumps(body).encode(), Told(kind, **more))
    return status, json.loads(retold)


def test_a_prompt_that_is_too_long_is_counted_as_vllm_counts() -> None:
    message = "The input (9031 tokens) is longer than the model's context length (2048 tokens)."
    assert told(message)[1] == vllms("err_prompt_too_long")
    ids = told(message, Kind.COMPLETION, prompt_is_ids=True)[1]["error"]
    assert "your prompt contains 9031 input tokens" in ids["message"]
    exact = told("The input (2048 tokens) is longer than the model's context length (2048 tokens).")[1]["error"]
    assert (exact["message"], exact["param"]) == (
        "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)",
        "max_tokens",
    )


NO_ROOM = (
    "Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a total of "
    "100031 tokens: 31 tokens from the input messages and 100000 tokens for the completion. Please reduce the "
    "number of tokens in the input messages or the completion to fit within the limit."
)


@pytest.mark.parametrize(
    "message",
    ["max_completion_tokens is too large: 100000.This model supports at most 2048 completion tokens.", NO_ROOM],
)
def test_more_than_the_context_is_refused_in_vllms_words(message: str) -> None:
    assert told(message)[1] == vllms("err_max_tokens_too_large")


def test_a_grammar_keeps_its_reason_and_loses_its_source() -> None:
    message = 'Failed to compile json grammar: [07:59:19] /project/cpp/json.cc:4175: Unsupported type "nonsense"\n'
    assert told(message)[1]["error"]["message"] == 'Grammar error: Unsupported type "nonsense"'


def test_an_adapter_that_is_not_there_is_404() -> None:
    message = "LoRA adapter 'adapter' was requested, but LoRA is not enabled. Please launch the server with ..."
    status, ours = told(message, model="m:adapter")
    assert status == 404
    assert ours["error"] == {
        "message": "The model `m:adapter` does not exist.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }


@pytest.mark.parametrize(
    ("status", "body", "message", "kind"),
    [
        (500, b"Internal Server Error", "Internal server error", "InternalServerError"),
        (503, b"", "The engine is overloaded. Please retry.", "ServiceUnavailableError"),
        (500, b'{"error":{"message":"Traceback (most recent call last):\\n x"}}', "Internal server error", None),
        (429, b'{"detail":"slow down"}', "slow down", "RateLimitError"),
        (418, b"[]", "The request failed.", "BadRequestError"),
        (599, b"\xff", "The request failed.", "InternalServerError"),
        (400, b'{"error":{"message":"see /venv/lib/python3.11/x.py"}}', "see <path>", "BadRequestError"),
        (400, b"[" * 100_000, "The request failed.", "BadRequestError"),
    ],
)
def test_whatever_it_is_it_has_vllms_envelope(status: int, body: bytes, message: str, kind: str | None) -> None:
    told_status, ours = errors.retold(status, body, Told(Kind.CHAT))
    error = json.loads(ours)["error"]
    assert (told_status, error["message"], error["code"], error["param"]) == (status, message, status, None)
    assert kind in (None, error["type"])


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b'{"detail":"Not Found"}'), (405, b'{"detail":"Method Not Allowed"}'), (401, b'{"error":"Unauthorized"}')],
)
def test_what_both_frameworks_say_stays(status: int, body: bytes) -> None:
    assert errors.retold(status, body, Told(Kind.CHAT)) == (status, body)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, b'{"error": {"message": "no such thing"}}', "no such thing"),
        (400, b'{"error": "invalid type: floating point"}', "invalid type: floating point"),
        (400, b'{"object": "error", "message": "too long", "type": "BadRequest", "code": 400}', "too long"),
        (400, b'{"detail": "Unknown parser"}', "Unknown parser"),
        (400, b"Flush cache failed.\n", "Flush cache failed."),
        (500, b"Internal Server Error", "Internal server error"),
        (500, b"boom at /venv/lib/x.py", "Internal server error"),
        (503, b"", "The engine is overloaded. Please retry."),
    ],
)
def test_an_error_of_sglangs_own_routes_has_vllms_shape(status: int, body: bytes, message: str) -> None:
    same, ours = errors.retold(status, body, Told(Kind.NATIVE))
    assert (same, json.loads(ours)["error"]["message"]) == (status, message)
    assert json.loads(ours)["error"] == error_body(status, message)["error"]


def test_what_an_administrative_route_says_besides_loses_paths_alone() -> None:
    native = Told(Kind.NATIVE)
    body = b'{"success": false, "message": "no such thing"}'
    assert errors.retold(400, body, native) == (400, body)
    told = json.loads(errors.retold(400, b'{"success": false, "message": "not in /venv/lib/x.py"}', native)[1])
    assert told == {"success": False, "message": "not in <path>"}
    dump = RECORDINGS["err_tools_bad"]["sglang"]["body"].encode()
    assert b"http_server.py" not in errors.retold(400, dump, native)[1]


PIECES = (
    "1 validation error:\n  {'type': 'a', 'loc': ('body',), 'msg': 'm', 'input': ",
    '}\n\n  File "/x/y.py"',
    *("[[", "{'a': f(1)}", "'", '"', "\\", " /venv/lib/x.py ", "Tool '", "' not found in tools list.", "(", ")"),
)


@given(message=st.text(max_size=300) | st.lists(st.sampled_from(PIECES)).map("".join))
@settings(max_examples=300, deadline=None)
def test_no_message_breaks_it_and_no_path_gets_through(message: str) -> None:
    status, ours = told(message)
    assert set(ours["error"]) == {"message", "type", "param", "code"}
    assert " /venv/lib" not in ours["error"]["message"]
    assert 'File "/' not in ours["error"]["message"]
    assert status == ours["error"]["code"]


@pytest.mark.parametrize(
    "kept",
    [
        "use /load_lora_adapter",
        "POST /v1/chat/completions",
        "https://example.org/a/b/c",
        "a/b/c",
        "1/2",
        "</tool_call>",
    ],
)
def test_what_is_no_path_of_the_servers_stays(kept: str) -> None:
    assert scrubbed(kept) == kept


def test_the_longest_message_is_quick_and_short() -> None:
    nested = "{'type': 'a', 'loc': ('body', 'x'), 'msg': 'm', 'input': " + "[" * 500_000
    _, ours = told(f'1 validation error:\n  {nested}\n\n  File "/x"')
    assert ours["error"]["param"] == "body.x"
    assert len(told("/a" * 500_000)[1]["error"]["message"]) <= 2000


def test_a_request_of_another_kind_is_told_alike() -> None:
    assert told_of("emb_embeddings_empty").kind is Kind.OTHER


def test_fastapis_list_of_what_is_wrong_is_told_in_vllms_words() -> None:
    given = {"detail": [{"type": "missing", "loc": ["body", "state"], "msg": "Field required"}]}
    status, body = errors.retold(422, json.dumps(given).encode(), Told(Kind.OTHER))
    told = json.loads(body)["error"]
    assert status == told["code"] == 400
    assert (told["type"], told["param"]) == ("Bad Request", "body.state")
    assert told["message"].startswith("1 validation error:\n  {'type': 'missing', 'loc': 'body.state'")


@pytest.mark.parametrize("detail", [None, [], "x", [1], {}])
def test_another_detail_is_no_list_of_what_is_wrong(detail: object) -> None:
    assert errors.retold(422, json.dumps({"detail": detail}).encode(), Told(Kind.OTHER))[0] == 422
