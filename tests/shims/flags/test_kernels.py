"""Kernels, graphs and compilation: a counterpart where there is one, and a line where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from shims.catalog import load
from shims.exceptions import Refused
from shims.values.attention import BACKENDS, LACKING, OWN_CHOICE
from shims.values.moe import ALL2ALL, NO_ALL2ALL, RUNNER
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_parallel import values

OFF = {"--cuda-graph-backend-decode": ["disabled"], "--cuda-graph-backend-prefill": ["disabled"]}
ON: dict[str, None] = dict.fromkeys(OFF)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--enforce-eager"], OFF),
        (["-O0"], OFF),
        (["-O3"], ON),
        (["--attention-backend", "FLASHINFER"], {"--attention-backend": ["flashinfer"]}),
        (["--attention-backend", "triton_attn"], {"--attention-backend": ["triton"]}),
        (["--attention-backend", "FLASH_ATTN"], {"--attention-backend": None}),
        (["--attention-backend", "auto"], {"--attention-backend": None}),
        (["--attention-backend", "NO_SUCH"], {"--attention-backend": None}),
        (
            ["-ac", '{"backend": "FLEX_ATTENTION", "flash_attn_version": 3}'],
            {"--attention-backend": ["flex_attention"]},
        ),
        (["-ac.backend", "FLASHMLA", "--attention-backend", "TRITON_MLA"], {"--attention-backend": ["triton"]}),
        (["--moe-backend", "hpc"], {"--moe-runner-backend": ["hpc_ops"]}),
        (["--moe-backend", "rdna3"], {"--moe-runner-backend": None}),
        (["--kernel-config", '{"moe_backend": "marlin"}'], {"--moe-runner-backend": ["marlin"]}),
        (
            ["--kernel-config", '{"enable_flashinfer_autotune": false, "monokernel": true}'],
            {"--disable-flashinfer-autotune": []},
        ),
        (["--no-enable-flashinfer-autotune"], {"--disable-flashinfer-autotune": []}),
        (["--mamba-backend", "flashinfer"], {"--mamba-backend": ["flashinfer"]}),
        (["--mamba-backend", "cpu"], {"--mamba-backend": None}),
        (["--cudagraph-capture-sizes", "4", "1", "4"], {"--cuda-graph-bs-decode": ["1", "4"]}),
        (["--max-cudagraph-capture-size", "64"], {"--cuda-graph-max-bs-decode": ["64"]}),
        (["--max-cudagraph-capture-size", "0"], OFF),
        (["--cuda-graph-sizes", "64"], {"--cuda-graph-max-bs-decode": ["64"]}),
        (["--cuda-graph-sizes", "1", "2"], {"--cuda-graph-bs-decode": ["1", "2"]}),
        (["--enforce-eager", "--cuda-graph-sizes", "1", "2"], {"--cuda-graph-bs-decode": None}),
        (["-cc", '{"cudagraph_mode": "NONE"}'], OFF),
        (
            ["-cc", '{"cudagraph_mode": "none", "cudagraph_capture_sizes": [1]}'],
            {**OFF, "--cuda-graph-bs-decode": None},
        ),
        (["-cc", '{"use_cudagraph": false}'], OFF),
        (["-cc", '{"cudagraph_mode": "full_decode_only"}'], {"--disable-prefill-cuda-graph": [], **ON}),
        (["-cc", '{"cudagraph_mode": "FULL_AND_PIECEWISE"}'], {"--disable-prefill-cuda-graph": None, **ON}),
        (["-cc.cudagraph_capture_sizes+", "1,2"], {"--cuda-graph-bs-decode": ["1", "2"]}),
        (["-cc", '{"cudagraph_capture_sizes": [8, 2]}'], {"--cuda-graph-bs-decode": ["2", "8"]}),
        (["-cc", '{"cudagraph_capture_sizes": []}'], OFF),
        (["-cc", '{"max_cudagraph_capture_size": 32, "pass_config": {}}'], {"--cuda-graph-max-bs-decode": ["32"]}),
        (["--compilation-config", "3"], {"--enable-torch-compile": None, **ON}),
        (["-cc", "{}"], ON),
    ],
)
def test_a_flag_becomes(words: list[str], expected: dict[str, Any], make_plan: MakePlan) -> None:
    got = values(make_plan("serve", "m", *words))
    assert {name: got.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--attention-backend", "CUSTOM"], "plugin"),
        (["--attention-backend", "DUAL_CHUNK_FLASH_ATTN"], "dual-chunk"),
        (["-ac", '{"use_non_causal": true}'], "use_non_causal"),
        (["-ac", '{"indexer_kv_dtype": "fp8"}'], "indexer_kv_dtype"),
        (["-ac", '{"nonsense": 1}'], "no nonsense"),
        (["-ac", "[]"], "give a JSON object"),
        (["-ac", '{"backend": 3}'], "give a name"),
        (["--kernel-config", "3"], "give a JSON object"),
        (["--kernel-config", '{"moe_backend": 3}'], "give a name"),
        (["-O7"], "no level"),
        (["-cc", '{"cudagraph_mode": "SOME"}'], "vLLM has NONE"),
        (["-cc", '{"cudagraph_mode": {}}'], "vLLM has NONE"),
        (["-cc", '{"cudagraph_capture_sizes": 4}'], "list of numbers"),
        (["-cc", '{"cudagraph_capture_sizes": [0]}'], "1 or more"),
        (["-cc", '{"max_cudagraph_capture_size": "x"}'], "give a number"),
        (["-cc", "true"], "give a JSON object"),
        (["--cudagraph-capture-sizes", "-1"], "1 or more"),
    ],
)
def test_is_refused(words: list[str], message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message):
        make_plan("serve", "m", *words)


def test_every_word_of_the_vocabularies_is_one_of_sglangs() -> None:
    flags = load("sglang").by_spelling
    assert set(BACKENDS.values()) <= set(flags["--attention-backend"].choices)
    assert set(RUNNER.values()) <= set(flags["--moe-runner-backend"].choices)
    assert {backend for backend, _ in ALL2ALL.values()} <= set(flags["--moe-a2a-backend"].choices)
    assert {mode for _, mode in ALL2ALL.values() if mode} <= set(flags["--deepep-mode"].choices)


def test_every_choice_of_vllms_is_decided_and_none_twice() -> None:
    flags = load("vllm").by_spelling
    assert {*ALL2ALL, *NO_ALL2ALL} == set(flags["--all2all-backend"].choices)
    assert set(RUNNER) <= set(flags["--moe-backend"].choices)
    assert not set(BACKENDS) & set(OWN_CHOICE) & set(LACKING)
