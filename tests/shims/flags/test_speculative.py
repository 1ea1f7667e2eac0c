"""Speculative decoding: methods, drafts, how far ahead, and what SGLang 0.5.23 asserts of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shims.exceptions import Refused
from shims.flags.speculative import PIECES
from shims.plan import Plan
from shims.values.attention import BACKENDS
from shims.values.numerics import KV_CACHE_DTYPE
from shims.values.speculative import DRAFT_ATTENTION
from tests.shims.conftest import MakePlan

CHAIN = {"num-steps": "3", "eagle-topk": "1", "num-draft-tokens": "4"}
MORE = ("--max-num-seqs", "64")


def speculative(made: Plan) -> dict[str, str]:
    """SGLang's flags of this kind, without their common prefix."""
    argv = made.engines[0].argv
    prefix = "--speculative-"
    return {word.removeprefix(prefix): argv[i + 1] for i, word in enumerate(argv) if word.startswith(prefix)}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"method": "eagle", "model": "o/d"}, {"algorithm": "EAGLE", "draft-model-path": "o/d", **CHAIN}),
        ({"method": "eagle3", "model": "o/d"}, {"algorithm": "EAGLE3", "draft-model-path": "o/d", **CHAIN}),
        ({"method": "mtp"}, {"algorithm": "NEXTN", **CHAIN}),
        ({"method": "deepseek_mtp"}, {"algorithm": "NEXTN", **CHAIN}),
        ({"method": "qwen3_next_mtp"}, {"algorithm": "NEXTN", **CHAIN}),
        ({"method": "mtp", "model": "org/m"}, {"algorithm": "NEXTN", **CHAIN}),
        ({"method": "mtp", "model": "o/d"}, {"algorithm": "NEXTN", "draft-model-path": "o/d", **CHAIN}),
        ({"method": "draft_model", "model": "o/d"}, {"algorithm": "STANDALONE", "draft-model-path": "o/d", **CHAIN}),
        ({"model": "o/d"}, {"algorithm": "STANDALONE", "draft-model-path": "o/d", **CHAIN}),
        ({"model": "o/EAGLE-Llama"}, {"algorithm": "EAGLE", "draft-model-path": "o/EAGLE-Llama", **CHAIN}),
        ({"model": "o/x_eagle3"}, {"algorithm": "EAGLE3", "draft-model-path": "o/x_eagle3", **CHAIN}),
        ({"model": "org/m"}, {"algorithm": "NEXTN", **CHAIN}),
        (
            {"method": "dflash", "model": "o/d"},
            {"algorithm": "DFLASH", "draft-model-path": "o/d", "dflash-block-size": "4"},
        ),
        ({"method": "dspark"}, {"algorithm": "DSPARK", "dspark-block-size": "3"}),
        (
            {"method": "ngram", "prompt_lookup_max": 4},
            {"algorithm": "NGRAM", "num-draft-tokens": "4", "ngram-max-bfs-breadth": "1", "ngram-max-trie-depth": "7"},
        ),
        (
            {"model": "[ngram]"},
            {"algorithm": "NGRAM", "num-draft-tokens": "4", "ngram-max-bfs-breadth": "1", "ngram-max-trie-depth": "8"},
        ),
        (
            {"method": "ngram_gpu", "prompt-lookup-min": 2},
            {"algorithm": "NGRAM", "num-draft-tokens": "4", "ngram-max-bfs-breadth": "1", "ngram-max-trie-depth": "5"},
        ),
        (
            {
                "method": "eagle3",
                "model": "o/d",
                "revision": "v1",
                "code_revision": "v1",
                "quantization": "fp8",
                "attention_backend": "triton_attn",
                "kv_cache_dtype": "fp8",
                "moe_backend": "triton",
                "draft_load_config": {"load_format": "safetensors"},
                "rejection_sample_method": "block",
                "draft_tensor_parallel_size": 1,
            },
            {
                "algorithm": "EAGLE3",
                "draft-model-path": "o/d",
                "draft-model-revision": "v1",
                "draft-model-quantization": "fp8",
                "draft-load-format": "safetensors",
                "draft-attention-backend": "triton",
                "draft-kv-cache-dtype": "fp8_e4m3",
                "moe-runner-backend": "triton",
                **CHAIN,
            },
        ),
        ({"method": "eagle", "model": "o/d", "attention_backend": "FLASH_ATTN"}, None),
    ],
)
def test_a_configuration_becomes(config: dict[str, Any], expected: dict[str, str] | None, make_plan: MakePlan) -> None:
    config = {"num_speculative_tokens": 3, **config}
    got = speculative(make_plan("serve", "org/m", "-sc", json.dumps(config)))
    assert got == (expected or {"algorithm": "EAGLE", "draft-model-path": "o/d", **CHAIN})


def test_of_an_eagle_without_a_length_sglang_chooses_all_three(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "-sc", '{"method": "eagle", "model": "o/d"}')
    assert speculative(made) == {"algorithm": "EAGLE", "draft-model-path": "o/d"}


@pytest.mark.parametrize(
    "words",
    [
        ["--spec-method", "eagle3", "--spec-model", "o/d", "--spec-tokens", "3"],
        ["--spec-model", "o/d-eagle3", "--spec-tokens", "3"],
        ["-sc", "None", "--spec-method", "eagle3", "--spec-model", "o/d", "--spec-tokens", "3"],
        ["--spec-tokens", "3", "-sc", '{"method": "eagle3", "model": "o/d"}'],
        ["-sc.method", "eagle3", "-sc.model", "o/d", "-sc.num_speculative_tokens", "3"],
    ],
)
def test_the_pieces_are_the_whole(words: list[str], make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", *words, *MORE)
    got = speculative(made)
    assert got.pop("draft-model-path").startswith("o/d")
    assert got == {"algorithm": "EAGLE3", **CHAIN}
    lines = [d for d in made.decisions if d.name in (*PIECES, "-sc") and d.value != "None"]
    assert {line.action for line in lines} == {"convert"}
    assert not made.warnings


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-sc", "[1]"], "give a JSON object"),
        (["-sc", '{"method": "x"}'], "'x' is no method"),
        (["-sc", '{"method": 3}'], "its method is no text"),
        (["-sc", '{"method": "mtp"}'], "give num_speculative_tokens"),
        (["-sc", '{"method": "ngram"}'], "give num_speculative_tokens"),
        (["-sc", '{"model": "o/d"}'], "give num_speculative_tokens"),
        (["-sc", '{"num_speculative_tokens": 3}'], "needs a draft"),
        (["-sc", '{"method": "eagle", "num_speculative_tokens": 3}'], "needs a draft"),
        (["-sc", '{"method": "mtp", "num_speculative_tokens": 0}'], "give 1 or more"),
        (["-sc", '{"method": "mtp", "num_speculative_tokens": true}'], "give 1 or more"),
        (["-sc", '{"method": "mtp", "num_speculative_tokens": "3"}'], "give 1 or more"),
        (["-sc", '{"method": "mtp", "odd": 3}'], "it has no 'odd'"),
        (["-sc", '{"method": "mtp", "tensor_parallel_size": 3}'], "draft_tensor_parallel_size"),
        (["-sc", '{"method": "custom_class", "model": "a.B"}'], "code of vLLM's"),
        (["-sc", '{"model": "a.B", "num_speculative_tokens": 3}'], "code of vLLM's"),
        (["-sc", '{"method": "extract_hidden_states"}'], "code of vLLM's"),
        (["-sc", '{"method": "mtp", "num_speculative_tokens": 2, "rejection_sample_method": "fly"}'], "takes others"),
        (["-sc", '{"method": "mtp", "rejection_sample_method": "x"}'], "does not know"),
        (["-sc", '{"method": "mtp", "acceptance_method": "typical_acceptance_sampler"}'], "takes others"),
        (["-sc", '{"method": "mtp", "synthetic_acceptance_length": 2}'], "synthetic alone"),
        (["-sc", '{"model": "o/d", "use_heterogeneous_vocab": true}'], "own vocabulary"),
        (["-sc", '{"method": "ngram", "prompt_lookup_min": 5, "prompt_lookup_max": 2}'], "above 2"),
        (["-sc", '{"method": "eagle", "model": "o/d", "quantization": "torchao"}'], "the draft's 'torchao'"),
        (["-sc", '{"method": "eagle", "model": "o/d", "code_revision": "v1"}'], "leave code_revision out"),
        (["-sc", '{"method": "eagle", "model": "o/d", "draft_load_config": {"x": 1}}'], "load_format alone"),
        (["-sc", '{"method": "eagle", "model": "o/d", "draft_load_config": {"load_format": []}}'], "load_format alone"),
        (["-sc", '{"method": "mtp"}', "--spec-method", "mtp"], "exclude each other"),
        (["--spec-tokens", "3"], "needs a draft"),
        (["-sc", '{"method": "ngram", "num_speculative_tokens": 2}', "-pp", "2"], "does not speculate by NGRAM"),
        (["--watermark-config", '{"a": 1}'], "another scheme"),
        (["--diffusion-config", '{"a": 1}'], "--dllm-algorithm"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(words: list[str], why: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "m", *words)
    assert why in str(caught.value)


@pytest.mark.parametrize("method", ["medusa", "suffix", "mlp_speculator"])
def test_a_method_without_a_counterpart_is_only_slower(method: str, make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "-sc", json.dumps({"method": method, "num_speculative_tokens": 2}))
    assert not speculative(made)
    assert any("come slower" in line for line in made.warnings)


def test_a_waived_refusal_leaves_none_of_the_flags(make_plan: MakePlan) -> None:
    words = ["-sc", '{"method": "ngram", "num_speculative_tokens": 2}', "-pp", "2"]
    assert not speculative(make_plan("serve", "m", *words, env={"VLLM_SHIM_UNSUPPORTED": "warn"}))


def test_what_is_speed_only_is_left_out_by_name(make_plan: MakePlan) -> None:
    config = {"method": "mtp", "num_speculative_tokens": 2, "enforce_eager": True, "parallel_drafting": False}
    made = make_plan("serve", "m", "-sc", json.dumps(config))
    (line,) = (d for d in made.decisions if d.name == "-sc")
    assert "without enforce_eager (speed only)" in line.note


def test_the_models_number_format_is_not_the_drafts(make_plan: MakePlan) -> None:
    config = '{"method": "eagle", "model": "o/d", "num_speculative_tokens": 3}'
    got = speculative(make_plan("serve", "m", "-q", "awq", "-sc", config))
    assert got["draft-model-quantization"] == "unquant"
    own = speculative(make_plan("serve", "m", "-q", "fp8", "-sc", '{"method": "mtp", "num_speculative_tokens": 1}'))
    assert "draft-model-quantization" not in own


@pytest.mark.parametrize(("words", "warned"), [((), True), (MORE, False), (("--max-running-requests", "9"), False)])
def test_sglangs_limit_of_running_requests_is_said(words: tuple[str, ...], warned: bool, make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--spec-method", "mtp", "--spec-tokens", "1", *words)
    assert any("at most 48" in line for line in made.warnings) == warned


def test_overrides_reach_the_draft_too_and_that_is_said(make_plan: MakePlan) -> None:
    config = '{"method": "eagle", "model": "o/d", "num_speculative_tokens": 3}'
    made = make_plan("serve", "m", "--hf-overrides", '{"a": 1}', "-sc", config, *MORE)
    assert any("the draft's configuration" in line for line in made.warnings)


def test_a_drafts_cache_and_attention_have_the_names_that_sglang_knows(make_plan: MakePlan) -> None:
    config = {"method": "mtp", "num_speculative_tokens": 1}
    for dtype in KV_CACHE_DTYPE:
        speculative(make_plan("serve", "m", "-sc", json.dumps({**config, "kv_cache_dtype": dtype})))
    assert set(DRAFT_ATTENTION) & set(BACKENDS.values())
