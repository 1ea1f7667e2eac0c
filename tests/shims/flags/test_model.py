"""Identity, overrides, quantization, tokenizer, pooling and sampling defaults of the model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shims.exceptions import Refused
from shims.flags.model import SEEDS
from shims.plan import Plan
from shims.values.rope import longest, lost_theta, modernised
from tests.shims.conftest import MakePlan

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
LONGER = "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN"


def value(made: Plan, flag: str) -> str | None:
    """What SGLang gets for a flag with one value; '' for a switch."""
    argv = made.engines[0].argv
    if flag not in argv:
        return None
    following = argv[argv.index(flag) + 1 :]
    return following[0] if following and not following[0].startswith("--") else ""


def action(made: Plan, name: str) -> str:
    return next(decision.action for decision in made.decisions if decision.name == name)


@pytest.mark.parametrize(
    ("words", "flag", "expected"),
    [
        (["--tokenizer", "org/t"], "--tokenizer-path", "org/t"),
        (["--tokenizer-mode", "slow"], "--tokenizer-mode", "slow"),
        (["--tokenizer-mode", "mistral"], "--tokenizer-mode", "auto"),
        (["--tokenizer-mode", "auto"], "--tokenizer-mode", None),
        (["--config-format", "mistral"], "--model-config-parser", "mistral"),
        (["--model-impl", "vllm"], "--model-impl", "sglang"),
        (["--model-impl", "transformers"], "--model-impl", "transformers"),
        (["--skip-tokenizer-init"], "--skip-tokenizer-init", ""),
        (["--runner", "pooling"], "--is-embedding", ""),
        (["--runner", "generate"], "--is-embedding", None),
        (["--convert", "embed"], "--is-embedding", ""),
        (["--convert", "none"], "--is-embedding", None),
        (["--task", "score"], "--is-embedding", ""),
        (["--task", "transcription"], "--is-embedding", None),
        (["--quantization", "gguf"], "--load-format", "gguf"),
        (["--quantization", "gguf", "--load-format", "auto"], "--load-format", "gguf"),
        (["--quantization", "gpt_oss_mxfp4"], "--quantization", "mxfp4"),
        (["--generation-config", "vllm"], "--sampling-defaults", "openai"),
        (["--generation-config", "auto"], "--sampling-defaults", None),
        (["--enable-return-routed-experts"], "--enable-return-routed-experts", ""),
        (
            ["--aux-output-config", '{"enable_return_routed_experts": true, "max_bytes": 1}'],
            "--enable-return-routed-experts",
            "",
        ),
        (["--max-model-len", "auto"], "--context-length", None),
    ],
)
def test_a_flag_becomes(words: list[str], flag: str, expected: str | None, make_plan: MakePlan) -> None:
    assert value(make_plan("serve", "org/m", *words), flag) == expected


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--tokenizer-mode", "cohere"], "those with a counterpart: auto"),
        (["--config-format", "x"], "those with a counterpart: auto, hf, mistral"),
        (["--model-impl", "terratorch"], "those with a counterpart: auto, transformers, vllm"),
        (["--quantization", "experts_int8"], "those with a counterpart: auto-round"),
        (["--quantization", "fp8_per_block"], "those with a counterpart"),
        (["--hf-overrides", "my.module.function"], "only a JSON object"),
        (["--hf-overrides", '{"text_config": {"rope_theta": 1.0}}'], "rope_theta in text_config"),
        (["--rope-scaling", "[1]"], "give a JSON object"),
        (["--rope-theta", "nan"], "above 0"),
        (["--rope-theta", "-1"], "above 0"),
        (["--code-revision", "abc"], "the code from --revision too, which is main"),
        (["--revision", "v1", "--tokenizer-revision", "main"], "which is v1"),
        (["--hf-config-path", "/elsewhere"], "beside the weights"),
        (["--model-class-overrides", '{"a": "b"}'], "classes of vLLM's"),
        (["--disable-sliding-window"], "within the window"),
        (["--runner", "draft"], "--speculative-config"),
        (["--pooler-config", '{"pooling_type": "MEAN"}'], "another vector"),
        (["--seed", "-1"], "from 0 to"),
        (["--seed", str(SEEDS)], "from 0 to"),
        (["--max-model-len", "0"], "1 or more"),
        (["--max-model-len", "-2"], "1 or more"),
        (["--generation-config", "/nowhere"], "a local folder"),
        (["--override-generation-config", "[1]"], "give a JSON object"),
        (["--override-generation-config", '{"temperature": "hot"}'], "its temperature is 'hot'"),
        (["--override-generation-config", '{"temperature": NaN}'], "its temperature is nan"),
        (["--override-generation-config", '{"max_new_tokens": true}'], "its max_new_tokens is True"),
        (["--max-logprobs", "-2"], "0 or more"),
        (["--logprobs-mode", "raw_logits"], "no logits"),
        (["--aux-output-config", '{"x": 1}'], "it has no 'x'"),
        (["--aux-output-config", "3"], "give a JSON object"),
        (["--enable-prompt-embeds"], "no embeddings as a prompt"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(words: list[str], why: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "org/m", *words)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ["--code-revision", "main"],
        ["--revision", "v1", "--tokenizer-revision", "v1"],
        ["--hf-config-path", "org/m"],
        ["--pooler-config", "{}"],
        ["--model-class-overrides", "{}"],
        ["--hf-overrides", "{}"],
        ["--logprobs-mode", "raw_logprobs"],
        ["--max-logprobs", "20"],
        ["--no-skip-tokenizer-init"],
        ["--no-disable-sliding-window"],
        ["--runner", "auto"],
        ["--override-generation-config", '{"eos_token_id": 2}'],
    ],
)
def test_a_default_asks_for_nothing(words: list[str], make_plan: MakePlan) -> None:
    assert (
        make_plan("serve", "org/m", *words).engines[0].argv
        == make_plan("serve", "org/m", *[word for word in words if words[0] == "--revision"][:2]).engines[0].argv
    )


def overrides(made: Plan) -> Any:
    return json.loads(value(made, "--json-model-override-args") or "null")


def test_the_older_flags_of_rotary_embeddings_join_the_overrides_and_win(make_plan: MakePlan) -> None:
    scaling = json.dumps({"type": "linear", "factor": 2.0})
    words = ["--hf-overrides", '{"rope_scaling": {"factor": 8.0}, "x": 1}', "--rope-scaling", scaling]
    assert overrides(make_plan("serve", "m", *words, "--rope-theta", "500000")) == {
        "rope_scaling": {"rope_theta": 500000.0, "type": "linear", "rope_type": "linear", "factor": 2.0},
        "rope_theta": 500000.0,
        "x": 1,
    }


def test_a_lone_rope_theta_stands_where_sglang_looks_for_it(make_plan: MakePlan) -> None:
    assert overrides(make_plan("serve", "m", "--hf-overrides.rope_theta", "5000")) == {
        "rope_theta": 5000,
        "rope_parameters": {"rope_theta": 5000},
    }


def test_rotary_embeddings_of_a_part_are_spelled_both_ways() -> None:
    assert modernised({"text_config": {"rope_parameters": {"type": "yarn"}}}) == {
        "text_config": {"rope_parameters": {"type": "yarn", "rope_type": "yarn"}}
    }
    assert modernised({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}) == {
        "rope_parameters": {"full_attention": {"rope_type": "yarn"}}
    }
    assert lost_theta({"a_config": {"b_config": {"rope_theta": 1}}}) == "a_config.b_config"
    assert not lost_theta({"text_config": {"rope_theta": 1, "rope_parameters": {}}})
    assert longest({"text_config": {"rope_parameters": YARN}}) == 131072
    assert longest({"rope_scaling": {"factor": True, "original_max_position_embeddings": 10**400}}) == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--rope-scaling", json.dumps(YARN), "--max-model-len", "131072"], "1"),
        (["--hf-overrides", json.dumps({"rope_parameters": YARN}), "--max-model-len", "131072"], "1"),
        (["--rope-scaling", json.dumps(YARN), "--max-model-len", "131073"], None),
        (["--rope-scaling", json.dumps(YARN)], None),
        (["--rope-scaling", json.dumps(YARN), "--max-model-len", "auto"], None),
        (["--max-model-len", "131072"], None),
    ],
)
def test_yarn_reaches_as_far_as_its_factor(words: list[str], expected: str | None, make_plan: MakePlan) -> None:
    assert make_plan("serve", "m", *words).engines[0].env.get(LONGER) == expected


def test_the_checkpoint_may_declare_a_quantization_that_has_no_name_in_sglang(make_plan: MakePlan) -> None:
    config = {"quantization_config": {"quant_method": "fbgemm_fp8"}}
    made = make_plan("serve", "m", "-q", "fbgemm_fp8", model_config=config)
    assert value(made, "--quantization") is None
    blocks = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}
    assert action(make_plan("serve", "m", "-q", "fp8_per_block", model_config=blocks), "-q") == "same"
    with pytest.raises(Refused):
        make_plan("serve", "m", "-q", "fp8_per_block", model_config={"quantization_config": "odd"})


def test_a_quantization_that_is_only_near_says_so(make_plan: MakePlan) -> None:
    assert any("granularity" in line for line in make_plan("serve", "m", "-q", "fp8_per_tensor").warnings)


@pytest.mark.parametrize("flag", ["--convert", "--task"])
def test_classes_need_a_model_of_classes(flag: str, make_plan: MakePlan) -> None:
    generative = {"architectures": ["Qwen3ForCausalLM"]}
    with pytest.raises(Refused, match="out of Qwen3ForCausalLM"):
        make_plan("serve", "m", flag, "classify", model_config=generative)
    known = make_plan(
        "serve", "m", flag, "classify", model_config={"architectures": ["Qwen3ForSequenceClassification"]}
    )
    assert value(known, "--is-embedding") == ""
    assert not any("classification head" in line for line in known.warnings)
    assert any("classification head" in line for line in make_plan("serve", "m", flag, "classify").warnings)
    make_plan("serve", "m", flag, "classify", model_config={"architectures": "odd"})


def test_a_window_that_is_never_reached_can_be_turned_off(make_plan: MakePlan) -> None:
    words = ("serve", "m", "--disable-sliding-window", "--max-model-len", "4096")
    made = make_plan(*words, model_config={"sliding_window": 4096})
    assert action(made, "--disable-sliding-window") == "same"
    with pytest.raises(Refused):
        make_plan(*words, model_config={"sliding_window": 1024})


def test_a_float32_checkpoint_says_what_auto_means(make_plan: MakePlan) -> None:
    config = {"torch_dtype": "float32"}
    assert any("bfloat16" in line for line in make_plan("serve", "m", model_config=config).warnings)
    assert not make_plan("serve", "m", "--dtype", "bfloat16", model_config=config).warnings


def test_processed_logprobs_are_sglangs_own(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--logprobs-mode", "processed_logprobs")
    assert made.engines[0].env["SGLANG_RETURN_ORIGINAL_LOGPROB"] == "0"
    assert made.warnings
    assert make_plan("serve", "m").engines[0].env["SGLANG_RETURN_ORIGINAL_LOGPROB"] == "1"


@pytest.mark.parametrize(
    ("words", "config", "expected", "cap"),
    [
        pytest.param([], {"temperature": 0.6, "top_k": 20, "x": 1}, {"temperature": 0.6, "top_k": 20}, 0, id="model's"),
        pytest.param([], {"temperature": 1.0, "top_k": 0, "top_p": 1}, {}, 0, id="nothing to say"),
        pytest.param([], {"max_new_tokens": 512}, {"max_tokens": 512}, 0, id="a length is no cap of the model's"),
        pytest.param([], {"temperature": "x", "top_k": True, "max_new_tokens": 0}, {}, 0, id="nonsense in the file"),
        pytest.param([], None, {}, 0, id="not local"),
        pytest.param(["--generation-config", "vllm"], {"temperature": 0.6}, {}, 0, id="vllm"),
        pytest.param(
            ["--generation-config", "/g"],
            {"temperature": 0.6, "max_new_tokens": 9},
            {"temperature": 0.6, "max_tokens": 9},
            9,
            id="a folder's length is a cap",
        ),
        pytest.param(
            ["--override-generation-config", '{"temperature": 0.5, "max_new_tokens": 64}'],
            {"temperature": 0.6, "top_p": 0.9},
            {"temperature": 0.5, "top_p": 0.9, "max_tokens": 64},
            64,
            id="the override wins",
        ),
        pytest.param(
            ["--override-generation-config", '{"temperature": null, "presence_penalty": null}'],
            {"temperature": 0.6, "presence_penalty": 1.0},
            {"temperature": 1.0},
            0,
            id="null is neutral",
        ),
        pytest.param(
            ["--override-generation-config", '{"temperature": 1.0, "skip_special_tokens": false}'],
            None,
            {"temperature": 1.0, "skip_special_tokens": False},
            0,
            id="an override of 1 is said",
        ),
        pytest.param(["--sampling-defaults", "openai"], {"temperature": 0.6}, {}, 0, id="SGLang's own flag wins"),
    ],
)
def test_requests_get_the_defaults_of_the_server(
    words: list[str], config: dict[str, Any] | None, expected: dict[str, Any], cap: int, make_plan: MakePlan
) -> None:
    policy = make_plan("serve", "/m", *words, generation_config=config).policy
    assert policy.sampling_defaults == expected
    assert policy.max_new_tokens == cap


def test_the_limit_of_logprobs_is_kept_by_the_middleware(make_plan: MakePlan) -> None:
    assert make_plan("serve", "m").policy.max_logprobs == 20
    assert make_plan("serve", "m", "--max-logprobs", "-1").policy.max_logprobs == -1
