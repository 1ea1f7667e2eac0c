"""Completions that SGLang's own /v1/completions would answer otherwise than vLLM, on the real engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engine.conftest import NAME
from tests.server import Server

pytestmark = pytest.mark.engine
PROMPT = "The capital of France is"
LONG = "hello " * 2020  # 2021 tokens of 2048


def complete(sglang: Server, **fields: Any) -> Any:
    answer = sglang.client.post("/v1/completions", json={"model": NAME, "temperature": 0, **fields})
    assert answer.status_code == 200, answer.text
    return answer


def chunks(answer: Any) -> list[Any]:
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize("stream", [False, True])
def test_each_of_several_prompts_is_answered_as_far_as_there_is_room(sglang: Server, stream: bool) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    answer = complete(sglang, prompt=[LONG, "hello"], max_tokens=60, ignore_eos=True, **options)
    pieces = chunks(answer) if stream else [answer.json()]
    assert {choice["index"] for piece in pieces for choice in piece["choices"]} == {0, 1}
    # SGLang ends two tokens before the context does.
    assert pieces[-1]["usage"]["completion_tokens"] == 60 + 2048 - 2021 - 2


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_as_ids_are_those_that_were_sampled(sglang: Server, stream: bool) -> None:
    fields: dict[str, Any] = {"logprobs": 2, "echo": True, "return_tokens_as_token_ids": True}
    answer = complete(sglang, prompt=PROMPT, max_tokens=3, stream=stream, **fields)
    pieces = chunks(answer) if stream else [answer.json()]
    tokens = [token for piece in pieces for token in piece["choices"][0]["logprobs"]["tokens"]]
    ids = complete(sglang, prompt=PROMPT, max_tokens=3, return_token_ids=True).json()["choices"][0]
    assert tokens == [f"token_id:{token}" for token in (*ids["prompt_token_ids"], *ids["token_ids"])]


def test_the_versions_of_the_weights_are_told_at_a_streams_end(sglang: Server) -> None:
    last = chunks(complete(sglang, prompt=PROMPT, max_tokens=3, stream=True, return_weight_versions=True))[-1]
    assert last["choices"][0]["weight_versions"] == [{"version": "default", "start": 0, "end": 3}]


def test_half_a_character_is_spelled_as_vllm_spells_it(sglang: Server) -> None:
    told = complete(sglang, prompt="x 🎉🎊", max_tokens=0, echo=True, logprobs=1).json()["choices"][0]
    assert told["text"] == "x 🎉🎊"
    assert "".join(told["logprobs"]["tokens"]) == "x 🎉🎊"
    assert told["logprobs"]["tokens"].count(" 🎉") == 1
