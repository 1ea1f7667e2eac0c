"""GPU memory, number formats, what goes to the host."""

from __future__ import annotations

from typing import Any

import pytest

from shims.exceptions import Refused
from shims.values.kv_bytes import per_token
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_parallel import values

LLAMA = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
}
DEEPSEEK = {"num_hidden_layers": 61, "num_attention_heads": 128, "kv_lora_rank": 512, "qk_rope_head_dim": 64}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--gpu-memory-utilization 0.00001", {"--mem-fraction-static": ["0.001"]}),
        ("--block-size 32", {"--page-size": ["32"]}),
        ("--block-size 48", {"--page-size": None}),
        ("--num-gpu-blocks-override 100", {"--max-total-tokens": ["1600"]}),
        ("--num-gpu-blocks-override 100 --block-size 64", {"--max-total-tokens": ["6400"]}),
        ("--kv-cache-memory-bytes 1G", {"--max-total-tokens": ["8192"]}),
        ("-tp 2 --kv-cache-memory-bytes 1G --kv-cache-dtype fp8", {"--max-total-tokens": ["32768"]}),
        ("--cpu-offload-gb 1.5", {"--cpu-offload-gb": ["2"]}),
        ("--cpu-offload-gb 0", {"--cpu-offload-gb": None}),
        (
            "--offload-group-size 4 --offload-num-in-group 2",
            {"--offload-group-size": ["4"], "--offload-num-in-group": ["2"]},
        ),
        ("--offload-group-size 0 --offload-num-in-group 2", {"--offload-num-in-group": None}),
        ("--mamba-ssm-cache-dtype float16", {"--mamba-ssm-dtype": ["float16"]}),
        ("--use-replayssm --replayssm-buffer-len 8", {"--linear-replayssm-cache-len": ["8"]}),
        ("--replayssm-buffer-len 8", {"--linear-replayssm-cache-len": None}),
    ],
)
def test_a_flag_becomes(words: str, expected: dict[str, Any], make_plan: MakePlan) -> None:
    got = values(make_plan("serve", "m", *words.split(), model_config=LLAMA))
    assert {name: got.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("config", "dtype", "tensor", "expected"),
    [
        (LLAMA, "auto", 1, 2 * 8 * 128 * 2 * 32),
        (LLAMA, "auto", 16, 2 * 1 * 128 * 2 * 32),
        ({"text_config": LLAMA}, "fp8", 1, 2 * 8 * 128 * 32),
        (DEEPSEEK, "auto", 8, (512 + 64) * 2 * 61),
        ({**DEEPSEEK, "index_head_dim": 128}, "auto", 8, None),
        ({**LLAMA, "layer_types": ["full_attention", "sliding_attention"]}, "auto", 1, None),
        ({**LLAMA, "layer_types": ["full_attention"] * 2}, "auto", 1, 2 * 8 * 128 * 2 * 32),
        ({**LLAMA, "num_hidden_layers": "many"}, "auto", 1, None),
        ({"num_hidden_layers": 2}, "auto", 1, None),
        (LLAMA, "nvfp4", 1, None),
        ({}, "auto", 1, None),
    ],
)
def test_what_a_token_takes(config: dict[str, Any], dtype: str, tensor: int, expected: int | None) -> None:
    assert per_token(config, dtype, tensor, 1) == expected


def test_a_size_that_cannot_be_turned_into_tokens_is_left_out_with_a_warning(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--kv-cache-memory-bytes", "1G")
    assert "--max-total-tokens" not in values(made)
    assert any("--kv-cache-memory-bytes" in warning for warning in made.warnings)


def test_the_state_of_a_convolution_has_a_format_of_its_own(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--mamba-cache-dtype", "float16")
    assert made.engines[0].env["SGLANG_MAMBA_CONV_DTYPE"] == "float16"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--gpu-memory-utilization nan", "above 0 and up to 1"),
        ("--gpu-memory-utilization inf", "above 0 and up to 1"),
        ("--gpu-memory-utilization -1", "above 0 and up to 1"),
        ("--block-size 0", "number of tokens"),
        ("--kv-cache-memory-bytes 1", "hold no token"),
        ("--kv-cache-memory-bytes -5", "number of bytes"),
        ("--cpu-offload-gb inf", "number of GiB"),
        ("--cpu-offload-gb nan", "number of GiB"),
        ("--offload-group-size 2 --cpu-offload-gb 2", "one of them"),
        ("--mamba-cache-dtype float32", "bfloat16 or float16"),
        ("--enable-mamba-cache-stochastic-rounding", "--mamba-ssm-cache-dtype float16"),
        ("--num-gpu-blocks-override 0", "give 1 or more"),
        ("--kv-cache-dtype-skip-layers 0", "all layers"),
    ],
)
def test_is_refused(words: str, message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message):
        make_plan("serve", "m", *words.split(), model_config=LLAMA)
