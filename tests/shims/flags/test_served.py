"""What the middleware is told of the engine as it will run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shims.conftest import MakePlan

CLASSIFIER = ["Qwen2ForSequenceClassification"]
GENERATIVE = ["Qwen3ForCausalLM"]


@pytest.mark.parametrize(
    ("words", "config", "task"),
    [
        ([], {}, ""),
        ([], {"architectures": GENERATIVE}, ""),
        (["--runner", "pooling", "--convert", "embed"], {"architectures": GENERATIVE}, "embed"),
        (["--task", "embed"], {"architectures": GENERATIVE}, "embed"),
        (["--is-embedding"], {"architectures": GENERATIVE}, "embed"),
        (["--task", "embed"], {}, ""),
        (["--runner", "pooling"], {"architectures": ["BertModel"]}, ""),
        ([], {"architectures": CLASSIFIER, "id2label": {"0": "a"}}, "score"),
        ([], {"architectures": CLASSIFIER, "num_labels": 1}, "score"),
        ([], {"architectures": CLASSIFIER, "id2label": {"0": "a", "1": "b"}}, "classify"),
        ([], {"architectures": CLASSIFIER}, "classify"),
        (
            ["--hf-overrides", '{"architectures": ["Qwen3ForSequenceClassification"]}'],
            {"architectures": GENERATIVE},
            "",
        ),
    ],
)
def test_what_the_model_is_for_where_that_is_certain(
    words: list[str], config: dict[str, Any], task: str, make_plan: MakePlan
) -> None:
    assert make_plan("serve", "/m", *words, model_config=config).policy.task == task


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ({}, None),
        ({"vocab_size": 49152}, 49152),
        ({"text_config": {"vocab_size": 7}}, 7),
        ({"vocab_size": "many", "text_config": []}, None),
        ({"vocab_size": True}, None),
    ],
)
def test_how_many_tokens_the_model_knows(config: dict[str, Any], size: int | None, make_plan: MakePlan) -> None:
    assert make_plan("serve", "/m", model_config=config).policy.vocab_size == size


def test_where_the_tokenizer_lies(make_plan: MakePlan) -> None:
    words = ["--tokenizer", "org/t", "--tokenizer-mode", "slow", "--revision", "r1", "--download-dir", "/hub"]
    policy = make_plan("serve", "org/m", *words).policy
    assert (policy.model_path, policy.tokenizer, policy.tokenizer_mode) == ("org/m", "org/t", "slow")
    assert (policy.revision, policy.download_dir) == ("r1", "/hub")


@pytest.mark.parametrize(
    ("words", "named"), [([], False), (["--reasoning-parser", "qwen3"], True), (["--reasoning-parser", ""], False)]
)
def test_whether_there_is_a_reasoning_parser(words: list[str], named: bool, make_plan: MakePlan) -> None:
    assert make_plan("serve", "m", *words).policy.reasoning_parser == named


def test_what_the_operator_gives_sglang_itself_is_told_too(make_plan: MakePlan) -> None:
    env = {"VLLM_SHIM_ENGINE_ARGS": "--enable-response-store --chat-template /t.jinja"}
    policy = make_plan("serve", "m", env=env).policy
    assert policy.response_store
    assert policy.chat_template == "/t.jinja"
