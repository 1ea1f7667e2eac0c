"""Ids that clients choose and clients that leave, on the real engine: nobody's request is ended but their own."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.engine.conftest import KEY, NAME, running
from tests.server import Server, wait_for

pytestmark = pytest.mark.engine
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
ASK: dict[str, Any] = {"model": NAME, "messages": [{"role": "user", "content": "Count."}], "max_tokens": 3}
TEXT: dict[str, Any] = {"model": NAME, "max_tokens": 3}
# No field of Anthropic's keeps a model from ending; this one goes on with its ones.
ONES: dict[str, Any] = {
    "model": NAME,
    "temperature": 0,
    "messages": [
        {"role": "user", "content": "Write the number 1 again and again, for ever: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"},
        {"role": "assistant", "content": "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"},
    ],
}
LONG = {"max_tokens": 1000, "ignore_eos": True, "stream": True}


def asked(server: Server, path: str, body: dict[str, Any], request_id: str = "") -> httpx.Response:
    return server.client.post(path, json=body, headers={"x-request-id": request_id} if request_id else {})


@contextlib.contextmanager
def streaming(server: Server, path: str, body: dict[str, Any], request_id: str = "") -> Iterator[Iterator[str]]:
    """A client of its own, who is gone with the block."""
    headers = {"authorization": f"Bearer {KEY}"} | ({"x-request-id": request_id} if request_id else {})
    with (
        httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client,
        client.stream("POST", path, json=body, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        yield answer.iter_lines()


@pytest.mark.parametrize(
    ("path", "body", "choices"),
    [
        (CHAT, {**ASK, "n": 2}, 2),
        (COMPLETIONS, {**TEXT, "prompt": ["a", "b", "c"]}, 3),
        (COMPLETIONS, {**TEXT, "prompt": ["a", "b"], "n": 2}, 4),
        (COMPLETIONS, {**TEXT, "prompt": [[1, 2], [3, 4]]}, 2),
    ],
    ids=["n", "prompts", "prompts and n", "prompts of ids"],
)
def test_an_id_serves_for_any_number_of_choices_and_again(
    sglang: Server, path: str, body: dict[str, Any], choices: int
) -> None:
    prefix = "chatcmpl-" if path == CHAT else "cmpl-"
    for _ in range(2):
        for answer in (asked(sglang, path, body, "mine"), asked(sglang, path, {**body, "request_id": "mine"})):
            assert answer.status_code == 200, answer.text
            assert answer.json()["id"] == f"{prefix}mine"
            assert [choice["index"] for choice in answer.json()["choices"]] == list(range(choices))
    with streaming(sglang, path, {**body, "stream": True}, "mine") as lines:
        events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert {event["id"] for event in events} == {f"{prefix}mine"}
    assert {choice["index"] for event in events for choice in event["choices"]} == set(range(choices))


def test_a_response_has_the_id_that_was_asked_for(sglang: Server) -> None:
    body = {"model": NAME, "input": "Hello", "max_output_tokens": 16, "request_id": "resp_mine"}
    for _ in range(2):
        assert asked(sglang, "/v1/responses", body).json()["id"] == "resp_mine"


def test_an_id_is_kept_when_max_tokens_had_to_be_lowered(sglang: Server) -> None:
    answer = asked(sglang, COMPLETIONS, {**TEXT, "prompt": "word " * 2030, "max_tokens": 1000}, "mine")
    assert (answer.status_code, answer.json()["id"]) == (200, "cmpl-mine")


def test_two_at_the_same_time_may_have_the_same_id(sglang: Server) -> None:
    ids = []

    def ask() -> None:
        with streaming(sglang, CHAT, {**ASK, "max_tokens": 40, "ignore_eos": True, "stream": True}, "same") as lines:
            events = [line for line in lines if line]
        assert events[-1] == "data: [DONE]"
        ids.append(json.loads(events[0][6:])["id"])

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids == ["chatcmpl-same", "chatcmpl-same"]


@pytest.mark.parametrize(
    ("path", "body", "requests"),
    [
        (CHAT, {**ASK, "n": 2}, 2),
        (COMPLETIONS, {**TEXT, "prompt": ["a", "b"]}, 2),
        ("/v1/messages", ONES, 1),
        ("/v1/responses", {"model": NAME, "input": "Count to 100000.", "max_output_tokens": 1000}, 1),
    ],
    ids=["n", "prompts", "messages", "responses"],
)
def test_who_leaves_a_stream_ends_all_of_it(sglang: Server, path: str, body: dict[str, Any], requests: int) -> None:
    with streaming(sglang, path, {**body, **LONG}, "leaver") as lines:
        next(lines)
        wait_for(lambda: running(sglang) == requests, "the request to run")
    wait_for(lambda: running(sglang) == 0, "the engine to stop generating")


def test_who_leaves_ends_nobody_whose_id_begins_like_theirs(sglang: Server) -> None:
    """SGLang 0.5.23 ends every request whose id begins with the one that was left."""
    with streaming(sglang, CHAT, {**ASK, **LONG, "max_tokens": 150}, "abc") as kept:
        with streaming(sglang, CHAT, {**ASK, **LONG}, "a") as left:
            next(left)
            wait_for(lambda: running(sglang) == 2, "both to run")
        wait_for(lambda: running(sglang) == 1, "the one to end")
        events = [line for line in kept if line]
    assert events[-1] == "data: [DONE]"
    assert json.loads(events[-2][6:])["choices"][0]["finish_reason"] == "length"
