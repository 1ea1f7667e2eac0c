"""/inference/v1/generate on the real engine: the ids that go in are those that the model sees, and those that come out
are its own, whole and streamed, with their probabilities.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import pytest

from tests.engine.conftest import NAME, running
from tests.server import Server

pytestmark = pytest.mark.engine
GENERATE = "/inference/v1/generate"
PROMPT = [504, 3575, 282, 4649, 314]  # The capital of France is
# Ids that no tokenizer would choose: special ones between others, and the last of all.
RARE = [2, 81, 1, 49151, 48900, 17, 0, 30000, 2, 504]
PATIENCE = 300.0


def ask(sglang: Server, ids: list[int], **fields: Any) -> Any:
    sampling = fields.pop("sampling_params", {})
    body = {"model": NAME, "token_ids": ids, "sampling_params": {"temperature": 0, **sampling}, **fields}
    answer = sglang.client.post(GENERATE, json=body, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return answer


def choice(sglang: Server, ids: list[int], **fields: Any) -> Any:
    return ask(sglang, ids, **fields).json()["choices"][0]


def direct(sglang: Server, ids: list[int], **fields: Any) -> Any:
    """SGLang's own, asked past us."""
    sampling = {"temperature": 0, **fields.pop("sampling_params", {})}
    body = {"input_ids": ids, "sampling_params": sampling, **fields}
    url = f"http://127.0.0.1:{sglang.port + 1}/generate"
    return httpx.post(url, json=body, timeout=PATIENCE, trust_env=False).json()


def chunks(answer: Any) -> list[Any]:
    assert answer.text.endswith("data: [DONE]\n\n")
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


@pytest.mark.parametrize("ids", [PROMPT, RARE])
def test_the_tokens_are_those_of_the_engine(sglang: Server, ids: list[int]) -> None:
    told = ask(sglang, ids, sampling_params={"max_tokens": 12, "logprobs": 1}, return_token_ids=True).json()
    theirs = direct(sglang, ids, sampling_params={"max_new_tokens": 12}, return_prompt_token_ids=True)
    assert told["prompt_token_ids"] == theirs["prompt_token_ids"] == ids
    assert told["choices"][0]["token_ids"] == theirs["output_ids"]
    assert told["usage"]["prompt_tokens"] == len(ids)
    assert told["usage"]["completion_tokens"] == 12


def test_each_token_has_its_probability_under_both_names(sglang: Server) -> None:
    told = choice(sglang, PROMPT, sampling_params={"max_tokens": 5, "logprobs": 2})
    content = told["logprobs"]["content"]
    assert [one["token_id"] for one in content] == told["token_ids"]
    assert [one["token"] for one in content] == [f"token_id:{token}" for token in told["token_ids"]]
    theirs = direct(sglang, PROMPT, sampling_params={"max_new_tokens": 5}, return_logprob=True, top_logprobs_num=2)[
        "meta_info"
    ]
    expected = [triple[0] for triple in theirs["output_token_logprobs"]]
    assert [one["logprob"] for one in content] == pytest.approx(expected, abs=0.001)
    for one in content:  # Greedy: the sampled token is the likeliest.
        assert one["rank"] == 1
        assert [top["rank"] for top in one["top_logprobs"]] == [1, 2]
        assert one["top_logprobs"][0]["token_id"] == one["token_id"]
        assert one["logprob"] >= one["top_logprobs"][1]["logprob"]


@pytest.mark.parametrize("sampling", [{}, {"logprobs": 1}, {"logprobs": 0, "stop_token_ids": [198]}])
def test_a_streams_pieces_are_the_whole(sglang: Server, sampling: dict[str, Any]) -> None:
    wanted = {"max_tokens": 24, **sampling}
    whole = ask(sglang, PROMPT, sampling_params=wanted).json()
    options = {"stream": True, "stream_options": {"include_usage": True}, "return_token_ids": True}
    pieces = chunks(ask(sglang, PROMPT, sampling_params=wanted, **options))
    assert pieces[0]["prompt_token_ids"] == PROMPT
    assert len(pieces) > 3
    choices = [piece["choices"][0] for piece in pieces if piece["choices"]]
    told = whole["choices"][0]
    assert [token for each in choices for token in each["token_ids"]] == told["token_ids"]
    if "logprobs" in sampling:
        content = [one for each in choices for one in each["logprobs"]["content"]]
        assert [one["token_id"] for one in content] == told["token_ids"]
        assert all(one["logprob"] > -9999.0 for one in content)
    ends = [each["finish_reason"] for each in choices]
    assert ends == [None] * (len(ends) - 1) + [told["finish_reason"]]
    assert choices[-1]["stop_reason"] == told["stop_reason"]
    assert pieces[-1]["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]


def test_a_stop_token_is_among_the_tokens_and_named(sglang: Server) -> None:
    free = choice(sglang, PROMPT, sampling_params={"max_tokens": 6})["token_ids"]
    told = choice(sglang, PROMPT, sampling_params={"max_tokens": 6, "stop_token_ids": [free[2]]})
    assert (told["finish_reason"], told["stop_reason"]) == ("stop", free[2])
    assert told["token_ids"] == free[: free.index(free[2]) + 1]


def test_a_stop_string_ends_the_answer_behind_its_last_token(sglang: Server) -> None:
    told = choice(sglang, PROMPT, sampling_params={"max_tokens": 20, "stop": [".\n"]}, output_mode="text")
    assert (told["finish_reason"], told["stop_reason"]) == ("stop", ".\n")
    assert told["text"] == " Paris"
    assert told["token_ids"] == choice(sglang, PROMPT, sampling_params={"max_tokens": 3})["token_ids"]


@pytest.mark.parametrize("stream", [False, True])
def test_each_of_several_choices_is_told(sglang: Server, stream: bool) -> None:
    sampling = {"n": 3, "max_tokens": 6, "temperature": 1.0, "logprobs": 0, "ignore_eos": True}
    answer = ask(sglang, PROMPT, sampling_params=sampling, stream=stream, stream_options={"include_usage": True})
    pieces = chunks(answer) if stream else [answer.json()]
    ids: dict[int, list[int]] = {}
    for piece in pieces:
        for each in piece["choices"]:
            ids.setdefault(each["index"], []).extend(each["token_ids"])
            assert [one["token_id"] for one in each["logprobs"]["content"]] == each["token_ids"]
    assert {place: len(row) for place, row in ids.items()} == {0: 6, 1: 6, 2: 6}
    assert pieces[-1]["usage"] | {"prompt_tokens": 5, "completion_tokens": 18} == pieces[-1]["usage"]


def test_the_probabilities_of_a_prompt(sglang: Server) -> None:
    told = ask(sglang, PROMPT, sampling_params={"max_tokens": 1, "prompt_logprobs": 1}).json()["prompt_logprobs"]
    theirs = direct(sglang, PROMPT, sampling_params={"max_new_tokens": 1}, return_logprob=True, logprob_start_len=0)[
        "meta_info"
    ]["input_token_logprobs"]
    assert told[0] is None
    actual = [next(iter(entry.items())) for entry in told[1:]]
    assert [int(token) for token, _ in actual] == PROMPT[1:]
    assert [entry["logprob"] for _, entry in actual] == pytest.approx([one[0] for one in theirs[1:]], abs=0.001)
    assert [entry["decoded_token"] for _, entry in actual] == [" capital", " of", " France", " is"]


def test_an_answer_without_a_length_goes_on_to_its_end_or_that_of_the_context(sglang: Server) -> None:
    told = choice(sglang, PROMPT * 400, sampling_params={"ignore_eos": True})
    assert told["finish_reason"] == "length"
    # SGLang ends two tokens before the context of 2048 does.
    assert len(told["token_ids"]) == 2048 - 2000 - 2


@pytest.mark.parametrize("length", [2048, 2049])
def test_a_prompt_that_is_too_long_is_told_so_in_words_that_clients_know(sglang: Server, length: int) -> None:
    body = {"model": NAME, "token_ids": [504] * length, "sampling_params": {"max_tokens": 4}}
    answer = sglang.client.post(GENERATE, json=body)
    assert answer.status_code == 400
    assert "This model's maximum context length is 2048 tokens. However" in answer.json()["error"]["message"]


def test_a_token_that_the_model_has_not_is_refused_and_the_engine_lives(sglang: Server) -> None:
    body = {"model": NAME, "token_ids": [504, 49152], "sampling_params": {"max_tokens": 4}}
    assert sglang.client.post(GENERATE, json=body).status_code == 400
    assert choice(sglang, PROMPT, sampling_params={"max_tokens": 1})["token_ids"]


def test_structured_output_holds(sglang: Server) -> None:
    sampling = {"max_tokens": 8, "structured_outputs": {"choice": ["Rome", "Bern"]}}
    assert choice(sglang, PROMPT, sampling_params=sampling, output_mode="text")["text"] in ("Rome", "Bern")


def test_a_request_is_aborted_by_the_name_that_its_client_gave_it(sglang: Server) -> None:
    found: list[Any] = []
    sampling = {"max_tokens": 1900, "ignore_eos": True}
    asking = threading.Thread(
        target=lambda: found.append(choice(sglang, PROMPT, sampling_params=sampling, request_id="to-abort"))
    )
    asking.start()
    deadline = time.monotonic() + PATIENCE
    while not running(sglang) and time.monotonic() < deadline:
        time.sleep(0.05)
    answer = sglang.client.post("/inference/v1/abort_requests", json={"request_ids": ["generate-tokens-to-abort"]})
    assert (answer.status_code, answer.text) == (200, "")
    asking.join(PATIENCE)
    assert found[0]["finish_reason"] == "abort"
    assert 0 < len(found[0]["token_ids"]) < 1900
