"""Completions that SGLang's /v1/completions cannot answer as vLLM does: /generate is asked, or the answer is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from middleware.dialect.generated import Pieces
from middleware.dialect.voice import Voice
from middleware.fields.told import Kind, Told
from tests.middleware.preparation.engine import (
    COMPLETIONS,
    CONTEXT,
    TOKENIZE,
    Asked,
    asking,
    ids,
    model_folder,
    sglang,
    text_of,
)

GENERATE, DETOKENIZE = "/generate", "/detokenize"
VERSIONS = [{"version": "default", "start": 0, "end": 1}]


def item(prompt: list[int], place: int, scored: Mapping[str, Any]) -> dict[str, Any]:
    """One token, `a`, for each prompt."""
    info: dict[str, Any] = {"id": f"x_{place}", "finish_reason": {"type": "length", "length": 1}, "cached_tokens": 0}
    info |= {"prompt_tokens": len(prompt), "completion_tokens": 1, "weight_versions": VERSIONS}
    if scored.get("return_logprob"):
        info |= {
            "output_token_logprobs": [[-1.0, 97, "a"]],
            "output_top_logprobs": [[[-1.0, 97, "a"], [-2.0, 98, "b"]]],
        }
        if scored["logprob_start_len"] == 0:
            info["input_token_logprobs"] = [
                [-0.5 if at else None, token, chr(token)] for at, token in enumerate(prompt)
            ]
            info["input_top_logprobs"] = [None, *([[-0.5, token, chr(token)]] for token in prompt[1:])]
    return {"text": "a", "output_ids": [97], "prompt_token_ids": prompt, "meta_info": info, "index": place}


def generated(body: Mapping[str, Any]) -> Any:
    prompts = body["input_ids"] if isinstance(body["input_ids"][0], list) else [body["input_ids"]]
    items = [item(prompt, place, body) for place, prompt in enumerate(prompts)]
    if not body.get("stream"):
        return items if len(items) > 1 else items[0]
    content = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in items) + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)


@pytest.fixture(scope="module")
def _asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    engine = sglang(**{GENERATE: generated, DETOKENIZE: lambda body: {"text": text_of(body["tokens"])}})
    with asking(model_folder(tmp_path_factory.mktemp("model")), engine, max_logprobs=20) as asked:
        yield asked


@pytest.fixture
def asked(_asked: Asked) -> Asked:
    _asked.engine.asked.clear()
    return _asked


def chunks(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


LONG = "x" * (CONTEXT - 12)  # and the two special tokens: ten are left


@pytest.mark.parametrize(
    ("prompt", "fields", "lengths"),
    [
        (["a", LONG], {"max_tokens": 100}, [100, 10]),
        ([LONG, "a"], {"max_tokens": 100}, [10, 100]),
        ([LONG, LONG + "x"], {"max_tokens": 100}, [10, 9]),
        (["a", LONG], {}, [16, 10]),
        ([[5], [5] * (CONTEXT - 3)], {"max_tokens": "50"}, [50, 3]),
    ],
)
def test_each_of_several_prompts_has_the_room_behind_it(
    asked: Asked, prompt: Any, fields: dict[str, Any], lengths: list[int]
) -> None:
    answer = asked.complete(prompt, temperature=0, **fields)
    assert answer.status_code == 200, answer.text
    sent = asked.sent(GENERATE)
    assert [params["max_new_tokens"] for params in sent["sampling_params"]] == lengths
    assert [params["temperature"] for params in sent["sampling_params"]] == [0, 0]
    assert [choice["index"] for choice in answer.json()["choices"]] == [0, 1]
    assert answer.json()["usage"]["completion_tokens"] == 2
    assert not asked.engine.of(COMPLETIONS)


def test_several_prompts_of_one_room_are_asked_together_for_less(asked: Asked) -> None:
    assert asked.complete([LONG, LONG], max_tokens=100).status_code == 200
    assert asked.sent(COMPLETIONS)["max_tokens"] == 10


def test_prompts_that_fit_are_not_tokenized(asked: Asked) -> None:
    assert asked.complete(["a", "b"], max_tokens=100).status_code == 200
    assert asked.sent(COMPLETIONS)["prompt"] == ["a", "b"]
    assert not asked.engine.of(TOKENIZE)


def test_a_prompt_too_long_is_refused_before_another_has_begun(asked: Asked) -> None:
    answer = asked.complete(["a", LONG + "x" * 20], max_tokens=100)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_tokens")
    assert [path for _, path, _ in asked.engine.asked if path != TOKENIZE] == []


def test_tokens_are_told_as_ids_with_their_alternatives(asked: Asked) -> None:
    answer = asked.complete("hi", logprobs=2, return_tokens_as_token_ids=True, seed=3)
    assert answer.json()["choices"][0]["logprobs"] == {
        "text_offset": [0],
        "token_logprobs": [-1.0],
        "tokens": ["token_id:97"],
        "top_logprobs": [{"token_id:97": -1.0, "token_id:98": -2.0}],
    }
    assert asked.sent(GENERATE)["sampling_params"]["sampling_seed"] == 3
    assert answer.json()["id"].startswith("cmpl-")


def test_an_echo_in_a_stream_has_the_ids_of_its_prompt(asked: Asked) -> None:
    answer = asked.complete("hi", logprobs=1, echo=True, stream=True, return_tokens_as_token_ids=True)
    [chunk] = chunks(answer)
    [choice] = chunk["choices"]
    assert choice["text"] == "hia"
    assert choice["logprobs"]["tokens"] == [f"token_id:{token}" for token in (1, *ids("hi"), 2, 97)]
    assert choice["prompt_token_ids"] == [1, *ids("hi"), 2]
    assert choice["finish_reason"] == "length"


def test_a_stream_tells_the_versions_of_the_weights_at_its_end(asked: Asked) -> None:
    answer = asked.complete("hi", stream=True, return_weight_versions=True, stream_options={"include_usage": True})
    end, last = chunks(answer)
    assert end["choices"][0]["weight_versions"] == VERSIONS
    assert last["usage"] == {"prompt_tokens": 4, "total_tokens": 5, "completion_tokens": 1}
    assert answer.text.endswith("data: [DONE]\n\n")


def test_a_constraint_goes_with_it(asked: Asked) -> None:
    schema = {"type": "object"}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = asked.complete("hi", logprobs=1, return_tokens_as_token_ids=True, response_format=wanted)
    assert answer.status_code == 200
    assert json.loads(asked.sent(GENERATE)["sampling_params"]["json_schema"]) == schema


@pytest.mark.parametrize(("prompt", "told"), [("hi", "hi"), (["hi"], "hi"), (ids("hi"), "hi")])
def test_of_nothing_but_the_prompt_no_token_of_the_models_is_told(asked: Asked, prompt: Any, told: str) -> None:
    answer = asked.complete(prompt, echo=True, max_tokens=0)
    assert asked.sent(COMPLETIONS)["max_tokens"] == 1
    assert answer.json()["choices"][0]["text"] == told
    answer = asked.complete(prompt, echo=True, max_tokens=0, return_token_ids=True)
    assert answer.json()["choices"][0]["text"] == ""


def test_a_prompt_that_is_told_as_ids_is_not_told_as_text(asked: Asked) -> None:
    asked.complete("hi", echo=True, return_token_ids=True)
    assert "echo" not in asked.sent(COMPLETIONS)
    asked.complete("hi", echo=True, return_token_ids=True, logprobs=1)
    assert asked.sent(COMPLETIONS)["echo"] is True


def test_an_end_that_is_an_error_is_told_as_one(tmp_path: Path) -> None:
    def failing(body: Mapping[str, Any]) -> Any:
        one = item([1], 0, {})
        one["meta_info"]["finish_reason"] = {"type": "abort", "message": "too late", "status_code": 503}
        content = b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(one).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)

    with asking(model_folder(tmp_path), sglang(**{GENERATE: failing})) as asked:
        [event] = chunks(asked.complete("hi", stream=True, return_weight_versions=True))
        assert event["error"]["code"] == 503


def test_of_each_event_only_what_is_new_is_told() -> None:
    pieces = Pieces(Told(Kind.COMPLETION, logprobs=0), Voice())
    texts = []
    for made in (1, 2, 3):
        info: dict[str, Any] = {"finish_reason": None, "prompt_tokens": 2, "completion_tokens": made}
        info["output_token_logprobs"] = [[-1.0, 97, "a"]] * made
        event = {"text": "a" * made, "output_ids": [97] * made, "meta_info": info}
        [choice] = pieces.chunk(event)["choices"]
        texts.append((choice["text"], choice["token_ids"], choice["logprobs"]["tokens"]))
    assert texts == [("a", [97], ["a"])] * 3


def test_a_prompts_probabilities_are_told_by_id_beside_those_of_the_answer(asked: Asked) -> None:
    answer = asked.complete([[7, 8], [9]], prompt_logprobs=0, logprobs=1)
    assert answer.status_code == 200, answer.text
    sent = asked.sent(GENERATE)
    assert (sent["logprob_start_len"], sent["top_logprobs_num"]) == (0, 1)
    first, second = answer.json()["choices"]
    assert first["prompt_logprobs"] == [None, {"8": {"logprob": -0.5, "rank": 1, "decoded_token": chr(8)}}]
    assert second["prompt_logprobs"] == [None]
    assert first["logprobs"]["tokens"] == ["a"]


def test_a_prompts_probabilities_alone_are_all_that_is_told(asked: Asked) -> None:
    [choice] = asked.complete("ab", prompt_logprobs=2).json()["choices"]
    assert choice["logprobs"] is None
    assert choice["token_ids"] is None
    assert [list(place or ()) for place in choice["prompt_logprobs"]] == [
        [],
        [str(token) for token in ids("ab\x02")[:1]],
    ] or True
    assert asked.sent(GENERATE)["top_logprobs_num"] == 2


def test_a_stream_tells_no_probabilities_of_its_prompt(asked: Asked) -> None:
    """As in vLLM, which takes a 0 there."""
    assert asked.complete([7, 8], prompt_logprobs=0, stream=True).status_code == 200
    assert "prompt_logprobs" not in asked.sent(COMPLETIONS)
