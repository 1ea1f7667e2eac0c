"""/abort_requests and /inference/v1/abort_requests: whose requests end, and what is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import NAME, Sglang, behind
from tests.middleware.inference.engine import PATH, PROMPT, answer, serving
from tests.middleware.serving import PATIENCE, Served, wait_for

GUARDED, OPEN = "/inference/v1/abort_requests", "/abort_requests"
CHATS = "/v1/chat/completions"


class Holding(Sglang):
    """It generates until it is told to abort, as SGLang does by the very id, or all."""

    def __init__(self) -> None:
        super().__init__({"/generate": self.held, CHATS: self.held, "/abort_request": self.obey})
        self.aborted: dict[str, asyncio.Event] = {}

    async def held(self, body: dict[str, Any]) -> Any:
        event = self.aborted.setdefault(body["rid"], asyncio.Event())
        await asyncio.wait_for(event.wait(), PATIENCE)
        if "messages" in body:
            choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "abort"}
            usage = {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}
            head = {"id": "x", "object": "chat.completion", "created": 1, "model": NAME}
            return {**head, "choices": [choice], "usage": usage}
        told = answer(body, 1)
        told["meta_info"]["finish_reason"] = {"type": "abort", "message": "Aborted"}
        return [told] * body["sampling_params"]["n"] if "n" in body["sampling_params"] else told

    def obey(self, body: dict[str, Any]) -> Any:
        for rid, event in self.aborted.items():
            if body.get("abort_all") or rid == body["rid"]:
                event.set()
        return 200, b""


@pytest.fixture
def both() -> Iterator[tuple[Served, Holding]]:
    engine = Holding()
    with serving(engine, dev_mode=True) as (front, _):
        yield front, engine


@contextlib.contextmanager
def asked(front: Served, engine: Holding, path: str = PATH, **fields: Any) -> Iterator[Callable[[], Any]]:
    """A request that runs; what it was answered when it has ended."""
    body = {"token_ids": PROMPT, "sampling_params": {"max_tokens": 5}, **fields}
    if path == CHATS:
        body = {"messages": [{"role": "user", "content": "hi"}], **fields}
    before = len(engine.aborted)
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(front.client.post(path, json=body).json()))
    asking.start()
    wait_for(lambda: len(engine.aborted) > before, "the request is with the engine")

    def ended() -> Any:
        asking.join(PATIENCE)
        return answers[0]["choices"][0]["finish_reason"]

    try:
        yield ended
    finally:
        front.client.post(OPEN, json={})
        asking.join(PATIENCE)


@pytest.mark.parametrize("name", ["generate-tokens-mine", "mine"])
def test_a_request_ends_by_the_id_that_its_client_knows(both: tuple[Served, Holding], name: str) -> None:
    front, engine = both
    with asked(front, engine, request_id="mine") as ended, asked(front, engine, request_id="mine-too"):
        told = front.post(GUARDED, json={"request_ids": [name]})
        assert (told.status_code, told.content) == (200, b"")
        assert ended() == "abort"
        # Of another whose id begins alike nothing is aborted.
        assert [event.is_set() for event in engine.aborted.values()] == [True, False]


def test_a_chat_ends_as_well(both: tuple[Served, Holding]) -> None:
    front, engine = both
    with asked(front, engine, CHATS, request_id="mine") as ended:
        told = front.post(OPEN, json={"request_ids": ["chatcmpl-mine"]})
        assert told.json() == {"status": "aborted", "aborted": 1}
        assert ended() == "abort"


@pytest.mark.parametrize("body", [{}, {"request_ids": []}, {"request_ids": None}])
def test_none_named_is_all(both: tuple[Served, Holding], body: dict[str, Any]) -> None:
    front, engine = both
    with asked(front, engine) as one, asked(front, engine, CHATS) as other:
        assert front.post(OPEN, json=body).json() == {"status": "aborted", "aborted": 2}
        assert (one(), other()) == ("abort", "abort")


def test_several_choices_are_ended_with_all_or_not_at_all(both: tuple[Served, Holding]) -> None:
    front, engine = both
    with asked(front, engine, request_id="mine", sampling_params={"n": 2, "max_tokens": 5}) as ended:
        told = front.post(GUARDED, json={"request_ids": ["mine"]})
        assert told.status_code == 501
        assert "generate-tokens-mine" in told.json()["error"]["message"]
        front.post(OPEN, json={})
        assert ended() == "abort"


def test_an_id_that_nobody_knows_is_nothing_to_complain_of(both: tuple[Served, Holding]) -> None:
    front, engine = both
    assert front.post(GUARDED, json={"request_ids": ["nobody"]}).status_code == 200
    assert front.post(OPEN, json={"request_ids": ["nobody"]}).json() == {"status": "aborted", "aborted": 1}
    assert engine.of("/abort_request") == []


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (OPEN, b"[]", "Request body must be a JSON object"),
        (OPEN, b"{", "Invalid JSON format"),
        (GUARDED, b"{}", "Missing 'request_ids' in request body"),
        (GUARDED, b'{"request_ids": "a"}', "Input should be a valid list"),
        (GUARDED, b'{"request_ids": [1]}', "Input should be a valid string"),
    ],
)
def test_what_is_no_order_is_refused(both: tuple[Served, Holding], path: str, body: bytes, words: str) -> None:
    told = both[0].client.post(path, content=body, headers={"content-type": "application/json"})
    assert told.status_code == 400
    assert words in told.json()["error"]["message"]
    assert told.json()["error"]["type"] == "Bad Request"


@pytest.mark.parametrize(
    ("policy", "statuses"),
    [
        ({"scale_out": True}, (401, 401, 404)),
        ({"scale_out": True, "rl": True}, (401, 401, 401)),
        ({"scale_out": True, "rl": True, "dev_mode": True}, (401, 401, 200)),
    ],
)
def test_who_may_call_without_the_key(policy: dict[str, Any], statuses: tuple[int, ...]) -> None:
    """vLLM's development routes ask for none."""
    engine = Sglang({"/abort_request": (200, b"")})
    with behind(engine, policy=Policy(**policy), api_keys=("k",)) as front:
        assert tuple(front.post(path, json={}).status_code for path in (PATH, GUARDED, OPEN)) == statuses


def test_the_halves_of_a_chat_are_refused_with_a_sentence() -> None:
    with serving() as (front, _):
        told = front.post("/v1/chat/completions/render", json={})
    assert told.status_code == 501
    assert "/inference/v1/generate" in told.json()["error"]["message"]
