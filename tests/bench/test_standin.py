"""The bench's stand-in says what a real SGLang was recorded to say, and our tables change all of it that they must."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bench.bodies import (
    CHAT,
    COMPLETIONS,
    GENERATE,
    MODEL,
    ROLLOUTS,
    Bodies,
    chat,
    drawn,
    generate,
    rollout,
    streamed,
    token_ids,
)
from bench.contenders import STAND_IN
from bench.recorded import ROLLOUT_TOKENS, Recorded, recorded
from middleware.policy import Policy
from tests.middleware.serving import Served, free_port, middleware, process, served, status_of, wait_for

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Served]:
    port = free_port()
    words = (sys.executable, str(STAND_IN), "--port", str(port), "--served-model-name", MODEL, "--any-flag", "1")
    with process(*words) as running, served(port, running) as server:
        wait_for(lambda: status_of(f"{server.url}/health") == 200, "the stand-in listens")
        yield server


@pytest.fixture(scope="module")
def front(engine: Served) -> Iterator[Served]:
    with middleware(engine.port, served_model_names=(MODEL,), policy=Policy(scale_out=True)) as server:
        yield server


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def shape(value: Any) -> Any:
    """Keys and their order, and the kinds of the values."""
    if isinstance(value, dict):
        return [(key, shape(each)) for key, each in value.items()]
    return [shape(each) for each in value] if isinstance(value, list) else type(value)


def test_a_whole_answer_has_sglangs_shape_and_the_requests_id(engine: Served) -> None:
    answer = engine.post(CHAT, content=chat("hi", rid="chatcmpl-1"), headers=JSON)
    assert shape(answer.json()) == shape(json.loads(recorded("chat")))
    assert (answer.json()["id"], answer.json()["model"]) == ("chatcmpl-1", MODEL)
    assert 950 <= len(answer.content) <= 1100


def test_a_stream_has_sglangs_events_and_as_many_tokens_as_were_asked_for(engine: Served) -> None:
    told = events(engine.post(CHAT, content=streamed(30, 0), headers=JSON).text)
    real = events(recorded("chat_stream").decode())
    assert [shape(each) for each in (told[0], told[1], told[-1])] == [
        shape(each) for each in (real[0], real[1], real[-1])
    ]
    assert len(told) == 32
    assert len({each["id"] for each in told}) == 1


@pytest.mark.parametrize("pace", [0, 1])
def test_a_long_stream_is_whole_with_and_without_a_pace(engine: Served, pace: float) -> None:
    told = events(engine.post(CHAT, content=streamed(601, pace), headers=JSON).text)
    assert len(told) == 603


def test_a_chunk_is_the_bytes_that_were_recorded() -> None:
    real = [event for event in recorded("chat_stream_usage").split(b"\n\n") if b'"content":" capital"' in event]
    rid = json.loads(real[0][6:])["id"].encode()
    chunk = Recorded("smollm2-135m").stream(rid).tokens[1]
    assert chunk.partition(b"\r\n")[2] == real[0] + b"\n\n\r\n"


def test_through_the_middleware_all_is_vllms(front: Served) -> None:
    answer = front.post(CHAT, content=chat("hi"), headers=JSON).json()
    assert "stop_reason" in answer["choices"][0]
    assert "matched_stop" not in answer["choices"][0]
    assert "metadata" not in answer
    told = events(front.post(CHAT, content=streamed(30, 0), headers=JSON).text)
    assert len(told) == 32, "the clients of the bench count them"
    assert "matched_stop" not in json.dumps(told)
    assert told[0]["id"].startswith("chatcmpl-")


def test_a_rollout_has_sglangs_shape_and_is_as_long_as_is_said(engine: Served) -> None:
    asked = {**json.loads(generate(drawn(8), ROLLOUT_TOKENS)), "rid": "r-1"}
    told = engine.post(GENERATE, json=asked).json()
    real = json.loads(recorded("generate_logprobs"))
    info = told["meta_info"]
    assert [(key, shape(value)) for key, value in real.items()] == [
        (key, shape(value[: len(real[key])] if isinstance(value, list) else real[key])) for key, value in told.items()
    ]
    assert list(info) == list(real["meta_info"])
    assert info["id"] == "r-1"
    assert len(told["output_ids"]) == len(info["output_token_logprobs"]) == ROLLOUT_TOKENS
    assert told["output_ids"] == [number for _, number, _ in info["output_token_logprobs"]]


def test_through_the_middleware_a_rollout_is_vllms(front: Served) -> None:
    answer = front.post(ROLLOUTS, content=rollout(drawn(8), ROLLOUT_TOKENS), headers=JSON)
    assert answer.status_code == 200, answer.text
    [choice] = answer.json()["choices"]
    assert [entry["token"] for entry in choice["logprobs"]["content"]] == [
        f"token_id:{number}" for number in choice["token_ids"]
    ]
    assert len(choice["token_ids"]) == ROLLOUT_TOKENS


def test_the_large_requests_are_taken(front: Served, tmp_path: Any) -> None:
    bodies = Bodies(tmp_path)
    assert 1_900 < bodies.small.stat().st_size < 2_100
    assert front.post(CHAT, content=bodies.large.read_bytes(), headers=JSON).status_code == 200
    assert front.post(COMPLETIONS, content=token_ids(), headers=JSON).status_code == 200


def test_its_metrics_are_those_of_as_many_ranks_as_it_is_told_to_have(engine: Served) -> None:
    alone = engine.get("/metrics").text
    told = engine.get("/_ranks/8").text
    assert told == engine.get("/metrics").text
    running = [line for line in told.splitlines() if line.startswith("sglang:num_running_reqs{")]
    assert [line.partition(",")[0] for line in running] == [
        f'sglang:num_running_reqs{{dp_rank="{rank}"' for rank in range(8)
    ]
    assert told.count("\nsglang:prompt_tokens_total{") == alone.count("\nsglang:prompt_tokens_total{") > 0
    assert f'model_name="{MODEL}"' in told
    assert engine.get("/_ranks/1").text == alone
