"""What trainers' own clients make of the answers of a real SGLang behind this API: rollouts whose token ids and
probabilities they keep, prompts that they know for too long, and weights that they learn they cannot send.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import openai
import pytest

from tests.engine.conftest import MODEL, NAME
from tests.rl.conftest import CONTEXT, Run
from tests.server import Server

pytestmark = pytest.mark.engine

# Of the prompts in the clients' scripts: the template's first and last words.
BEGINNING, END = [1, 9690, 198], [1, 520, 9531, 198]


@pytest.fixture(scope="module")
def renderers(trained: Server, run: Run) -> Any:
    return run("verifiers-0.4", "renderers_generate", trained.url, NAME, str(MODEL))


@pytest.fixture(scope="module")
def verifiers(trained: Server, run: Run) -> Any:
    return run("verifiers-0.4", "verifiers_0_4", trained.url, NAME, str(MODEL))


@pytest.fixture(scope="module")
def older_verifiers(trained: Server, run: Run) -> Any:
    return run("verifiers-0.1", "verifiers_0_1", trained.url, NAME)


@pytest.fixture(scope="module")
def trl(trained: Server, run: Run) -> Any:
    return run("trl", "trl_vllm", trained.url)


def continued(server: Server, ids: Sequence[int], length: int) -> list[int]:
    """By SGLang itself, of the same prompt."""
    body = {"input_ids": list(ids), "sampling_params": {"temperature": 0, "max_new_tokens": length}}
    answer = server.client.post(f"http://127.0.0.1:{server.port + 1}/generate", json=body)
    answer.raise_for_status()
    found: list[int] = answer.json()["output_ids"]
    return found


def is_scored(logprobs: Sequence[float], ids: Sequence[int]) -> bool:
    return len(logprobs) == len(ids) > 0 and all(math.isfinite(one) and -50 < one <= 0 for one in logprobs)


def test_renderers_rolls_out_by_ids(trained: Server, renderers: Any) -> None:
    first, second = renderers["first"], renderers["second"]
    assert first["prompt_ids"][-4:] == END
    assert second["prompt_ids"] == renderers["asked"]
    for turn in (first, second):
        assert turn["completion_ids"] == continued(trained, turn["prompt_ids"], 12)
        assert is_scored(turn["completion_logprobs"], turn["completion_ids"])
        assert turn["finish_reason"] in ("stop", "length")
        assert turn["usage"]["prompt_tokens"] == len(turn["prompt_ids"])


def test_renderers_knows_the_context_before_it_asks(renderers: Any) -> None:
    assert renderers["overlong"] == CONTEXT


def test_the_train_client_of_verifiers_keeps_the_ids_of_a_turn(trained: Server, verifiers: Any) -> None:
    tokens = verifiers["train"]["tokens"]
    assert tokens["prompt_ids"][-4:] == END
    assert tokens["completion_ids"] == continued(trained, tokens["prompt_ids"], 12)
    assert is_scored(tokens["completion_logprobs"], tokens["completion_ids"])
    assert verifiers["train"]["finish"] == "length"  # from which verifiers knows that it was truncated


def test_the_eval_client_of_verifiers_reads_and_relays_chats(verifiers: Any) -> None:
    told = verifiers["eval"]
    assert told["text"]
    assert told["finish"] == "length"
    assert told["usage"]["completion_tokens"] == 12
    assert verifiers["relayed"].endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("client", ["train_overlong", "eval_overlong"])
def test_verifiers_is_told_of_a_prompt_that_is_too_long_once(verifiers: Any, client: str) -> None:
    """A 4xx, which nobody asks again."""
    assert verifiers[client]["status"] == 400
    assert str(CONTEXT) in verifiers[client]["message"]


@pytest.mark.parametrize("kind", ["chat", "interleaved", "completion"])
def test_older_verifiers_keeps_the_ids_of_its_rollouts(trained: Server, older_verifiers: Any, kind: str) -> None:
    rollout = older_verifiers[kind]
    assert rollout["error"] is None
    assert len(rollout["turns"]) == (1 if kind == "completion" else 2)
    for turn in rollout["turns"]:
        tokens = turn["tokens"]
        assert tokens is not None
        assert tokens["completion_ids"] == continued(trained, tokens["prompt_ids"], 8)
        assert is_scored(tokens["completion_logprobs"], tokens["completion_ids"])
        assert turn["truncated"]


def test_older_verifiers_goes_on_from_the_ids_of_the_turn_before(older_verifiers: Any) -> None:
    """By /v1/chat/completions/tokens: nothing that was sampled is tokenized a second time."""
    first, second = (turn["tokens"] for turn in older_verifiers["interleaved"]["turns"])
    before = [*first["prompt_ids"], *first["completion_ids"]]
    assert second["prompt_ids"][: len(before)] == before
    assert len(second["prompt_ids"]) > len(before)


def test_older_verifiers_knows_a_prompt_that_is_too_long(older_verifiers: Any) -> None:
    assert older_verifiers["overlong"] == {"turns": [], "too_long": True, "error": None}


def test_trl_generates_from_ids_and_knows_each_token(trained: Server, trl: Any) -> None:
    prompts = trl["sampled"]["prompt_ids"]
    for wanted, count, alternatives in (("sampled", 4, 1), ("ranked", 2, 3)):
        told = trl[wanted]
        assert told["prompt_ids"] == prompts
        assert len(told["completion_ids"]) == count
        for ids, rows, scores in zip(told["completion_ids"], told["logprob_token_ids"], told["logprobs"], strict=True):
            assert len(ids) == 6
            assert all(token in row and len(row) >= alternatives for token, row in zip(ids, rows, strict=True))
            assert all(is_scored(score, row) for score, row in zip(scores, rows, strict=True))
            assert wanted == "ranked" or [[token] for token in ids] == rows


def test_trl_chats_by_ids(trl: Any) -> None:
    told = trl["chat"]
    assert [ids[:3] for ids in told["prompt_ids"]] == [BEGINNING] * 2
    for ids, rows in zip(told["completion_ids"], told["logprob_token_ids"], strict=True):
        assert all(token in row for token, row in zip(ids, rows, strict=True))


def test_trl_scores_sequences_as_sglang_does(trained: Server, trl: Any) -> None:
    told = trl["scored"]
    for place, (ids, start) in enumerate(zip(trl["sampled"]["prompt_ids"], (1, 2), strict=True)):
        body = {"input_ids": ids, "sampling_params": {"max_new_tokens": 1}, "return_logprob": True}
        body |= {"logprob_start_len": 0, "top_logprobs_num": 4}
        info = trained.client.post(f"http://127.0.0.1:{trained.port + 1}/generate", json=body).json()["meta_info"]
        own = [triple[:2] for triple in info["input_token_logprobs"][start:]]
        assert [row[0] for row in told["actual_token_ids"][place]] == [token for _, token in own]
        assert [row[0] for row in told["actual_logprobs"][place]] == pytest.approx([one for one, _ in own], abs=0.001)
        assert [len(row) for row in told["logprob_token_ids"][place]] == [4] * len(own)


def test_trl_learns_what_it_is_connected_to(trl: Any) -> None:
    assert trl["model"] == NAME
    assert trl["world"] == 1


def test_trl_stops_with_a_sentence_where_it_would_send_weights(trl: Any) -> None:
    assert "has no weight-transfer engine" in trl["weights"]


@pytest.mark.parametrize("stream", [False, True])
def test_openais_client_is_given_the_ids(trained: Server, stream: bool) -> None:
    asked: dict[str, Any] = {"model": NAME, "messages": [{"role": "user", "content": "Name a colour."}]}
    asked |= {"max_tokens": 8, "temperature": 0, "extra_body": {"return_token_ids": True}, "logprobs": True}
    with openai.OpenAI(base_url=f"{trained.url}/v1", api_key="EMPTY", max_retries=0) as client:
        if stream:
            chunks = [chunk.model_dump() for chunk in client.chat.completions.create(stream=True, **asked)]
            prompts = [chunk["prompt_token_ids"] for chunk in chunks if chunk.get("prompt_token_ids")]
            choices = [choice for chunk in chunks for choice in chunk["choices"]]
            ids = [token for choice in choices for token in choice.get("token_ids") or ()]
            scores = [one for choice in choices if choice["logprobs"] for one in choice["logprobs"]["content"]]
        else:
            told = client.chat.completions.create(**asked).model_dump()
            prompts, [choice] = [told["prompt_token_ids"]], told["choices"]
            ids, scores = choice["token_ids"], choice["logprobs"]["content"]
    [prompt] = prompts
    assert prompt[-4:] == END
    assert ids == continued(trained, prompt, 8)
    assert is_scored([one["logprob"] for one in scores], ids)
