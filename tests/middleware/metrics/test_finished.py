"""vllm:request_success_total: each choice of each answer by how it ended, on every route, whole and streamed."""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
from typing import Any

import httpx
import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import EMBEDS, NAME, SCORES, Sglang
from tests.middleware.metrics import answers
from tests.middleware.metrics.answers import CHAT, CHATS, COMPLETE, COMPLETIONS, GENERATE, HI, NATIVE
from tests.middleware.metrics.counting import counting, finished, idle_page
from tests.middleware.serving import middleware, stand_in, wait_for

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
CALL = [{"id": "call_1", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def ended(
    path: str, body: Any, answer: Any, *, asked: str = "", status: int = 200, policy: Policy | None = None
) -> Any:
    """What is counted of one request, whose answer SGLang gives at `asked`."""
    engine = Sglang({asked or path: answer})
    with counting(engine, policy=policy) as front:
        assert front.post(path, json=body).status_code == status
        return finished(front)


@pytest.mark.parametrize("reason", ["stop", "length", "abort"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_chat_counts_by_how_it_ended(reason: str, streamed: bool) -> None:
    answer: Any = answers.stream(*answers.chat_chunks(reason)) if streamed else answers.chat(reason)
    assert ended(CHATS, {**CHAT, "stream": streamed}, answer) == {reason: 1}


@pytest.mark.parametrize("reason", ["stop", "length", "abort"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_completion_counts_by_how_it_ended(reason: str, streamed: bool) -> None:
    answer: Any = answers.stream(*answers.completion_chunks(reason)) if streamed else answers.completion(reason)
    assert ended(COMPLETIONS, {**COMPLETE, "stream": streamed}, answer) == {reason: 1}


@pytest.mark.parametrize("streamed", [False, True])
def test_each_choice_counts(streamed: bool) -> None:
    reasons = ("stop", "length", "stop")
    answer: Any = answers.stream(*answers.chat_chunks(*reasons)) if streamed else answers.chat(*reasons)
    assert ended(CHATS, {**CHAT, "n": 3, "stream": streamed}, answer) == {"stop": 2, "length": 1}


@pytest.mark.parametrize("streamed", [False, True])
def test_each_prompts_choices_count(streamed: bool) -> None:
    reasons = ("stop", "length", "length", "length")
    answer: Any = answers.stream(*answers.completion_chunks(*reasons)) if streamed else answers.completion(*reasons)
    body = {**COMPLETE, "prompt": ["a", "b"], "n": 2, "stream": streamed}
    assert ended(COMPLETIONS, body, answer) == {"stop": 1, "length": 3}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_of_a_tool_is_a_stop_as_vllms_engine_counts_it(streamed: bool) -> None:
    answer: Any = answers.chat("tool_calls", tool_calls=CALL, content=None)
    if streamed:
        answer = answers.stream(*answers.chat_chunks("tool_calls"))
    body = {**CHAT, "tools": TOOLS, "stream": streamed}
    assert ended(CHATS, body, answer) == {"stop": 1}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_message_counts_once(streamed: bool) -> None:
    answer: Any = answers.stream(*answers.chat_chunks("length")) if streamed else answers.chat("length")
    assert ended("/v1/messages", {**CHAT, "stream": streamed}, answer, asked=CHATS) == {"length": 1}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_response_counts_once(streamed: bool) -> None:
    answer: Any = answers.stream(*answers.chat_chunks("stop")) if streamed else answers.chat("stop")
    body = {"model": NAME, "input": "hi", "stream": streamed}
    assert ended("/v1/responses", body, answer, asked=CHATS) == {"stop": 1}


def test_each_chat_of_a_batch_counts() -> None:
    body = {**CHAT, "messages": [HI, HI, HI]}
    assert ended("/v1/chat/completions/batch", body, answers.chat("length"), asked=CHATS) == {"length": 3}


def test_an_invocation_counts_as_what_it_is() -> None:
    assert ended("/invocations", CHAT, answers.chat("stop"), asked=CHATS) == {"stop": 1}


@pytest.mark.parametrize("named", [{}, {"rid": "mine"}])
@pytest.mark.parametrize("reason", ["stop", "length", "abort"])
def test_sglangs_own_generation_counts_by_how_it_ended(reason: str, named: dict[str, str]) -> None:
    assert ended(GENERATE, {**NATIVE, **named}, answers.generated(reason)) == {reason: 1}


@pytest.mark.parametrize("named", [{}, {"rid": "mine"}])
def test_a_stream_of_sglangs_own_counts_its_end_alone(named: dict[str, str]) -> None:
    answer = answers.stream(answers.generated(None), answers.generated(None), answers.generated("length"))
    assert ended(GENERATE, {**NATIVE, **named, "stream": True}, answer) == {"length": 1}


def test_a_list_of_sglangs_own_counts_each() -> None:
    """Objects with an answer each; Sglang's answers are objects, and a list is sent as its bytes."""
    answer = [answers.generated("stop"), answers.generated("length"), answers.generated("length")]
    assert ended(GENERATE, {**NATIVE, "text": ["a", "b", "c"]}, (200, answer)) == {"stop": 1, "length": 2}


def test_a_list_of_sglangs_own_that_is_streamed_counts_each() -> None:
    events = [answers.generated(reason, n) for n in range(2) for reason in (None, "length")]
    assert ended(GENERATE, {**NATIVE, "text": ["a", "b"], "stream": True}, answers.stream(*events)) == {"length": 2}


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
@pytest.mark.parametrize("streamed", [False, True])
def test_ollamas_clients_are_counted(path: str, streamed: bool) -> None:
    whole = {"model": NAME, "message": {"role": "assistant", "content": "a"}, "done": True, "done_reason": "length"}
    going_on = {"model": NAME, "message": {"role": "assistant", "content": "a"}, "done": False}
    answer: Any = answers.stream(going_on, whole, lines=True) if streamed else whole
    asked = {"messages": HI} if path == "/api/chat" else {"prompt": "a"}
    assert ended(path, {"model": NAME, "stream": streamed, **asked}, answer) == {"length": 1}


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_is_cut_short_is_an_error_of_each_choice_that_had_not_ended(streamed: bool) -> None:
    reasons = ("stop", "stop")
    whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
    # The first choice's end is there, the second's and the last line are not.
    chunks = answers.chat_chunks(*reasons)
    answer = answers.stream(*chunks[:-1], cut=False).removesuffix(b"e\r\n" + answers.DONE + b"\r\n0\r\n\r\n")
    body = {**CHAT, "n": 2, "stream": streamed}
    expected = {"stop": 1.0, "error": 1.0} if streamed else {"error": 2.0}
    assert ended(CHATS, body, answer if streamed else whole, status=200 if streamed else 502) == expected


def test_an_error_in_the_middle_of_a_stream_is_an_error() -> None:
    failure = {"error": {"message": "no", "type": "InternalServerError", "code": 500}}
    assert ended(CHATS, {**CHAT, "stream": True}, answers.stream(*answers.chat_chunks("stop")[:2], failure)) == {
        "error": 1
    }


def test_a_stream_of_the_real_byte_path_that_the_engine_cuts_is_an_error() -> None:
    with stand_in() as engine, middleware(engine.port) as front:
        body = {"messages": HI, "max_tokens": 9, "stream": True}
        cut = front.post(CHATS, json=body, headers={"x-standin": "cut-after=3"})
        assert b'"error"' in cut.content
        assert finished(front) == {"error": 1}
        assert idle_page(front).by("kind", "vllm_shim:engine_errors_total") == {"cut_short": 1}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_counts_nothing(streamed: bool) -> None:
    with stand_in("--delay-ms", "50") as engine, middleware(engine.port) as front:
        body = b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":2000,"stream":%b}' % (
            b"true" if streamed else b"false"
        )
        head = b"POST %b HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        with socket.create_connection(("127.0.0.1", front.port)) as leaving:
            leaving.sendall(head % (CHATS.encode(), len(body)) + body)
            wait_for(lambda: engine.stats()["active"] > 1, "the engine has it")
            if streamed:
                assert leaving.recv(100)
        wait_for(lambda: engine.stats()["disconnects"], "the engine is told")
        assert finished(front) == {}
        assert idle_page(front).by("kind", "vllm_shim:engine_errors_total") == {}


@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 503])
def test_an_error_of_the_engines_is_no_request_that_ended(status: int) -> None:
    refusal = (status, {"object": "error", "message": "no", "type": "BadRequestError", "param": None, "code": status})
    engine = Sglang({CHATS: refusal, GENERATE: refusal})
    with counting(engine) as front:
        for path, body in ((CHATS, CHAT), (CHATS, {**CHAT, "stream": True}), (GENERATE, NATIVE)):
            assert front.post(path, json=body).status_code >= 400
        assert finished(front) == {}


def test_what_we_refuse_is_no_request_that_ended() -> None:
    with counting(Sglang()) as front:
        bodies: tuple[Any, ...] = ({**CHAT, "top_p": 3}, {**CHAT, "model": "nobody"}, {"model": NAME}, [])
        for body in bodies:
            assert 400 <= front.post(CHATS, json=body).status_code < 500
        assert finished(front) == {}


def vectors(body: dict[str, Any]) -> dict[str, Any]:
    given = body["input"] if isinstance(body["input"], list) else [body["input"]]
    packed = base64.b64encode(struct.pack("<2f", 1.0, 0.0)).decode()
    vector = packed if body.get("encoding_format") == "base64" else [1.0, 0.0]
    data = [{"object": "embedding", "index": n, "embedding": vector} for n in range(len(given))]
    return {"object": "list", "model": NAME, "usage": answers.usage(2, 0), "data": data}


def ranks(body: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    return 200, [{"index": n, "score": 0.5, "meta_info": {"prompt_tokens": 2}} for n in range(len(body["documents"]))]


def classes(body: dict[str, Any]) -> dict[str, Any]:
    given = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"index": n, "label": "A", "probs": [1.0], "num_classes": 1} for n in range(len(given))]
    return {"id": "1", "object": "list", "created": 1, "model": NAME, "data": data, "usage": answers.usage(2, 0)}


@pytest.mark.parametrize(
    ("path", "body", "info", "count"),
    [
        ("/v1/embeddings", {"input": "a"}, EMBEDS, 1),
        ("/v1/embeddings", {"input": ["a", "b", "c"]}, EMBEDS, 3),
        ("/rerank", {"query": "a", "documents": ["b", "c"]}, SCORES, 2),
        ("/score", {"queries": "a", "documents": ["b", "c", "d"]}, SCORES, 3),
        ("/score", {"queries": "a", "documents": ["b", "c"]}, EMBEDS, 3),
        ("/classify", {"input": ["a", "b"]}, SCORES, 2),
    ],
)
def test_of_requests_for_numbers_each_text_or_pair_that_the_model_sees_is_a_stop(
    path: str, body: Any, info: dict[str, Any], count: int
) -> None:
    engine = Sglang({"/v1/embeddings": vectors, "/v1/rerank": ranks, "/v1/classify": classes}, info=info)
    with counting(engine) as front:
        answer = front.post(path, json={"model": NAME, **body})
        assert answer.status_code == 200, answer.text
        assert finished(front) == {"stop": count}


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/tokenize"), ("GET", "/api/tags")])
def test_what_is_no_generation_is_no_request_that_failed(method: str, path: str) -> None:
    cut = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
    with counting(Sglang({path: cut})) as front:
        with contextlib.suppress(httpx.HTTPError):
            front.client.request(method, path, json={"prompt": "a"})
        assert not any(finished(front).values())


def test_a_stream_that_finds_the_queue_full_is_rejected_and_no_error() -> None:
    event = {"error": {"message": "The request queue is full.", "type": "Service Unavailable", "code": 503}}
    with counting(Sglang({CHATS: answers.stream(event)})) as front:
        front.post(CHATS, json={**CHAT, "stream": True})
        assert not any(finished(front).values())
        assert idle_page(front).value("vllm:admission_rejections_total", reason="max_num_queued_reqs") == 1


@pytest.mark.parametrize(("words", "rejected"), [("The request queue is full.", 1), ("Request waiting timeout.", 0)])
def test_a_503_is_a_full_queue_only_if_sglang_says_so(words: str, rejected: int) -> None:
    body = {"object": "error", "message": words, "type": "Service Unavailable", "code": 503}
    with counting(Sglang({CHATS: (503, body)})) as front:
        assert front.post(CHATS, json=CHAT).status_code == 503
        found = idle_page(front)
    assert found.value("vllm:admission_rejections_total", reason="max_num_queued_reqs") == rejected
    assert sum(one.value for one in found.all("vllm_shim:engine_errors_total")) == 1 - rejected
