"""What SGLang is asked for a request of token ids: vLLM's names become its own, and nothing that nobody decided."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from middleware.phases import lost_file
from middleware.policy import Policy
from tests.middleware.endpoints.sglang import NAME, Sglang, behind
from tests.middleware.inference.engine import PATH, PROMPT, generated, serving
from tests.middleware.serving import Served, wait_for

Front = tuple[Served, Sglang]


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with serving() as both:
        yield both


def sent(front: Front, sampling: dict[str, Any] | None = None, *, headers: Any = None, **fields: Any) -> Any:
    body = {"model": NAME, "token_ids": PROMPT, "sampling_params": {"max_tokens": 2, **(sampling or {})}, **fields}
    answer = front[0].client.post(PATH, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return front[1].of("/generate")[-1]


def refused(front: Front, sampling: dict[str, Any] | None = None, **fields: Any) -> Any:
    front[1].asked.clear()
    body = {"token_ids": PROMPT, "sampling_params": sampling or {}, **fields}
    answer = front[0].client.post(PATH, json=body)
    assert answer.status_code == 400, answer.text
    assert front[1].of("/generate") == []
    return answer.json()["error"]


@pytest.mark.parametrize(
    ("vllms", "sglangs"),
    [
        ({"max_tokens": 3}, {"max_new_tokens": 3}),
        ({"min_tokens": 1}, {"min_new_tokens": 1}),
        ({"temperature": 0.5, "top_p": 0.9, "min_p": 0.1}, {"temperature": 0.5, "top_p": 0.9, "min_p": 0.1}),
        ({"top_k": 0}, {"top_k": -1}),
        ({"top_k": 5}, {"top_k": 5}),
        ({"seed": 7}, {"sampling_seed": 7}),
        ({"seed": -1}, {}),
        ({"stop": ["a"], "stop_token_ids": [5]}, {"stop": ["a"], "stop_token_ids": [5]}),
        ({"include_stop_str_in_output": True}, {"no_stop_trim": True}),
        ({"ignore_eos": True, "skip_special_tokens": False}, {"ignore_eos": True, "skip_special_tokens": False}),
        ({"logit_bias": {"5": 200}}, {"logit_bias": {"5": 100.0}}),
        ({"presence_penalty": 1, "frequency_penalty": 0.5}, {"presence_penalty": 1, "frequency_penalty": 0.5}),
        ({"structured_outputs": {"regex": "a+"}}, {"regex": "a+"}),
        ({"structured_outputs": {"choice": ["a", "b"]}}, {"regex": "(a|b)"}),
        ({"structured_outputs": {"json": {"type": "object"}}}, {"json_schema": '{"type":"object"}'}),
        ({"max_tokens": "3", "temperature": 1.0}, {"max_new_tokens": 3, "temperature": 1.0}),
        # What says nothing, or is none of vLLM's, as renderers 0.1.12 and prime-rl send it.
        ({"return_token_ids": True, "nonsense": 1, "output_kind": 2, "skip_clone": True, "bad_words": []}, {}),
        ({"detokenize": False, "flat_logprobs": False, "extra_args": {"a": 1}, "logprob_token_ids": None}, {}),
    ],
)
def test_a_parameter_has_another_name(front: Front, vllms: dict[str, Any], sglangs: dict[str, Any]) -> None:
    assert sent(front, vllms)["sampling_params"] == {"max_new_tokens": 2, **sglangs}


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ({}, {}),
        ({"logprobs": 0}, {"return_logprob": True, "top_logprobs_num": 0}),
        ({"logprobs": 3}, {"return_logprob": True, "top_logprobs_num": 3}),
        (
            {"logprobs": 1, "prompt_logprobs": 2, "detokenize": False},
            {"return_logprob": True, "top_logprobs_num": 2, "logprob_start_len": 0, "return_text_in_logprobs": False},
        ),
    ],
)
def test_probabilities_are_asked_for(front: Front, sampling: dict[str, Any], expected: dict[str, Any]) -> None:
    asked = sent(front, sampling)
    names = ("return_logprob", "top_logprobs_num", "logprob_start_len", "return_text_in_logprobs")
    assert {name: asked[name] for name in names if name in asked} == expected


def test_the_rest_goes_on_by_name(front: Front) -> None:
    asked = sent(front, cache_salt="step-3", priority=2, request_id="mine", headers={"x-data-parallel-rank": "1"})
    assert asked.pop("rid").startswith("generate-tokens-mine-")
    assert asked == {
        "input_ids": PROMPT,
        "sampling_params": {"max_new_tokens": 2},
        "cache_salt": "step-3",
        "priority": 2,
        "routed_dp_rank": 1,
    }


def test_a_rank_that_is_no_number_is_overlooked(front: Front) -> None:
    assert "routed_dp_rank" not in sent(front, headers={"x-data-parallel-rank": "one"})


def test_without_a_length_there_is_all_the_room_of_the_context(front: Front) -> None:
    asked = front[0].client.post(PATH, json={"token_ids": PROMPT, "sampling_params": {}})
    assert asked.status_code == 200
    assert front[1].of("/generate")[-1]["sampling_params"] == {"max_new_tokens": 2048 - len(PROMPT)}


def test_a_length_beyond_the_context_is_as_long_as_there_is_room(front: Front) -> None:
    assert sent(front, {"max_tokens": 4000})["sampling_params"]["max_new_tokens"] == 2048 - len(PROMPT)


def test_the_servers_default_length_is_for_requests_that_name_none() -> None:
    with serving(sampling_defaults={"max_tokens": 4, "temperature": 0.3}) as front:
        front[0].client.post(PATH, json={"token_ids": PROMPT, "sampling_params": {}})
        # Of the other defaults vLLM puts none into token requests.
        assert front[1].of("/generate")[-1]["sampling_params"] == {"max_new_tokens": 4}
        assert sent(front, {"max_tokens": 5})["sampling_params"] == {"max_new_tokens": 5}


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        ({"bad_words": ["a"]}, "bad_words is not supported"),
        ({"allowed_token_ids": [1]}, "allowed_token_ids is not supported"),
        ({"logprob_token_ids": [1]}, "logprob_token_ids is not supported"),
        ({"prompt_logprob_token_ids": [[1]]}, "prompt_logprob_token_ids is not supported"),
        ({"prompt_logprob_start": 0}, "requires prompt_logprob_token_ids"),
        ({"trace_decode_token_ids": [1]}, "trace_decode_token_ids is not supported"),
        ({"thinking_token_budget": 5}, "thinking_token_budget is set but"),
        ({"repetition_detection": {"max_pattern_size": 3, "min_count": 2}}, "repetition_detection is not supported"),
        ({"structured_outputs": {}}, "You must use one kind of structured outputs"),
        ({"stop": ["a"], "detokenize": False}, "stop strings are only supported when detokenize is True"),
        ({"stop_token_ids": [49152]}, "out-of-vocab"),
        ({"temperature": -1}, "temperature must be non-negative"),
        ({"temperature": 0, "n": 2}, "n must be 1 when using greedy sampling"),
        ({"temperature": None}, "body.sampling_params.temperature"),
        ({"max_tokens": 0}, "max_tokens must be at least 1, got 0."),
        ({"min_tokens": 3, "max_tokens": 2}, "min_tokens must be less than or equal to max_tokens=2, got 3."),
        ({"logprobs": -2}, "logprobs must be non-negative or -1, got -2."),
        ({"logprobs": 21}, "Requested sample logprobs of 21, which is greater than max allowed: 20"),
        ({"prompt_logprobs": 21}, "Requested prompt logprobs of 21, which is greater than max allowed: 20"),
        ({"prompt_logprobs": -1}, "Requested prompt logprobs of 49152, which is greater than max allowed: 20"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(front: Front, sampling: dict[str, Any], words: str) -> None:
    assert words in refused(front, sampling)["message"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"features": {"mm_hashes": {}}}, "features is not supported"),
        ({"content_parts": [{"type": "image_url"}]}, "content_parts is not supported"),
        ({"output_mode": "derender"}, "derender"),
        ({"output_mode": "words"}, "Input should be 'tokens', 'text' or 'derender'"),
        ({"output_mode": "text", "sampling_params": {"logprobs": 1}}, "has no logprobs here"),
        ({"token_ids": [[1, 2]]}, "Input should be a valid integer"),
        ({"token_ids": [-1]}, "token_ids must not contain negative values"),
        ({"token_ids": [49152]}, "Token id 49152 is out of vocabulary"),
        ({"token_ids": "a"}, "body.token_ids"),
        ({"token_ids": None}, "body.token_ids"),
        ({"cache_salt": "a/b"}, "cache_salt"),
        (
            {"token_ids": [1] * 2048},
            "This model's maximum context length is 2048 tokens. However, your prompt contains",
        ),
        (
            {"token_ids": [1] * 2049},
            "This model's maximum context length is 2048 tokens. However, your prompt contains",
        ),
    ],
)
def test_a_request_that_cannot_be_served_is_told_why(front: Front, fields: dict[str, Any], words: str) -> None:
    assert words in refused(front, **fields)["message"]


def test_max_logprobs_without_limit_is_for_numbers() -> None:
    with serving(max_logprobs=-1) as front:
        assert sent(front, {"logprobs": 1000})["top_logprobs_num"] == 1000
        assert "name a number" in refused(front, {"logprobs": -1})["message"]


def test_the_vocabulary_is_that_of_the_models_files_where_the_command_line_could_not_know_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"vocab_size": 1000}')
    with serving(vocab_size=None, model_path=str(tmp_path), rl=True) as front:
        assert "Token id 1000 is out of vocabulary" in refused(front, token_ids=[1000])["message"]
        assert "Token id 1000" in refused(front, token_ids=[999] * 60_000 + [1000])["message"]
        chat = {"messages": [{"role": "user", "content": "hi"}]}
        for path, body in (
            ("/v1/completions", {"prompt": [1000]}),
            ("/v1/completions", {"prompt": "hi", "stop_token_ids": [1000]}),
            ("/v1/chat/completions", {**chat, "stop_token_ids": [1000]}),
            ("/v1/chat/completions", {**chat, "logit_bias": {"1000": 1}}),
            ("/v1/chat/completions/tokens", {**chat, "tokens": [1000]}),
            ("/generate", {"input_ids": [1000]}),
        ):
            answer = front[0].client.post(path, json=body)
            assert answer.status_code == 400, (path, body)
            assert "vocab" in answer.json()["error"]["message"], (path, body)


def test_an_engine_that_is_started_again_is_held_to_the_vocabulary_that_the_model_has_then(tmp_path: Path) -> None:
    config, ready = tmp_path / "config.json", tmp_path / "ready"
    config.write_text('{"vocab_size": 1000}')
    policy = Policy(scale_out=True, model_path=str(tmp_path))
    with behind(Sglang({"/generate": generated}), policy=policy, ready_file=ready) as front:
        asked = {"token_ids": [1000], "sampling_params": {"max_tokens": 1}}
        assert front.post(PATH, json=asked).status_code == 400
        config.write_text('{"vocab_size": 2000}')
        lost_file(ready).touch()
        wait_for(lambda: front.get("/health").status_code == 503, "it is seen to be gone")
        lost_file(ready).unlink()
        wait_for(lambda: front.get("/health").status_code == 200, "it is back")
        assert front.post(PATH, json=asked).status_code == 200


def test_an_adapter_is_chosen_by_the_models_name() -> None:
    engine = Sglang(cards=[{"id": "noisy", "object": "model", "root": "/lora/noisy", "parent": NAME}])
    engine.answers["/generate"] = {"text": "", "output_ids": [], "meta_info": {
        "finish_reason": {"type": "stop", "matched": 2}, "prompt_tokens": 5, "completion_tokens": 0}}  # fmt: skip
    with serving(engine) as front:
        assert sent(front, model="noisy")["lora_path"] == "noisy"
        told = front[0].client.post(PATH, json={"token_ids": PROMPT, "sampling_params": {}, "model": "noisy"}).json()
        assert told["model"] == "noisy"
