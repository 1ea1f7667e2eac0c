"""The labels of `vllm:cache_config_info`: a recorded vLLM 0.33.0 is the judge of their names and of how they look."""

from __future__ import annotations

import re

import pytest

from shims.flags.cache_info import LABELS
from tests.server import ROOT
from tests.shims.conftest import MakePlan

RECORDED = dict(re.findall(r'(\w+)="([^"]*)"', (ROOT / "tests/fixtures/cache_config_info.txt").read_text()))
# What vLLM was started with in the recording, and what its CPU platform sets by itself.
AS_RECORDED = ["--kv-cache-memory-bytes", "1073741824", "--mamba-ssm-cache-dtype", "float32"]
SLIDING = {"sliding_window": 4096}
MIXED = {**SLIDING, "layer_types": ["sliding_attention", "full_attention"]}


def test_each_label_of_vllms_has_its_line() -> None:
    assert set(LABELS) == set(RECORDED) - {"engine"}


def test_the_labels_are_those_that_vllm_showed_with_the_same_flags(make_plan: MakePlan) -> None:
    labels = make_plan("serve", "m", *AS_RECORDED).policy.cache_config
    assert labels == {name: RECORDED[name] for name, source in LABELS.items() if source is not None}


def test_what_only_the_running_engine_knows_is_left_to_the_middleware(make_plan: MakePlan) -> None:
    labels = make_plan("serve", "m", "--block-size", "32").policy.cache_config
    assert not {"block_size", "num_gpu_blocks", "kv_cache_size_tokens"} & set(labels)
    assert labels["user_specified_block_size"] == "True"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--gpu-memory-utilization", "0.9"], {"gpu_memory_utilization": "0.9"}),
        (["--kv-cache-dtype", "fp8"], {"cache_dtype": "fp8"}),
        (["--no-enable-prefix-caching"], {"enable_prefix_caching": "False"}),
        (["--disable-radix-cache"], {"enable_prefix_caching": "False"}),
        (["--num-gpu-blocks-override", "100"], {"num_gpu_blocks_override": "100"}),
        (["--kv-cache-memory-bytes", "1G"], {"kv_cache_memory_bytes": "1073741824"}),
        (["--prefix-caching-hash-algo", "xxhash"], {"prefix_caching_hash_algo": "xxhash"}),
        (["--no-swa-bounded-replay"], {"swa_bounded_replay": "False"}),
    ],
)
def test_a_flag_shows_in_its_label(words: list[str], expected: dict[str, str], make_plan: MakePlan) -> None:
    labels = make_plan("serve", "m", *words).policy.cache_config
    assert {name: labels[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("config", "words", "window"),
    [
        ({}, [], "None"),
        (SLIDING, [], "4096"),
        ({"text_config": SLIDING}, [], "4096"),
        ({**SLIDING, "layer_types": ["sliding_attention"]}, [], "4096"),
        (MIXED, [], "None"),
        ({**SLIDING, "use_sliding_window": False}, [], "None"),
        ({"sliding_window": None}, [], "None"),
        ({"sliding_window": "wide", "text_config": 1}, [], "None"),
    ],
)
def test_the_window_is_the_models_where_every_layer_has_it(
    config: dict[str, object], words: list[str], window: str, make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", *words, model_config=config)
    assert made.policy.cache_config["sliding_window"] == window
