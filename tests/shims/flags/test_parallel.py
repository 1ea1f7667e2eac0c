"""How many GPUs, and which way: what SGLang is told of tensor, data and context parallelism, devices and experts."""

from __future__ import annotations

from typing import Any

import pytest

from shims.exceptions import Refused
from shims.plan import Plan
from tests.shims.conftest import MakePlan

DENSE = {"architectures": ["LlamaForCausalLM"]}
MOE = {"architectures": ["Qwen3MoeForCausalLM"], "num_experts": 128}
NESTED = {"text_config": {"n_routed_experts": 16}}
ERNIE = {"moe_num_experts": [64, 64]}


def values(made: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in made.engines[0].argv:
        if word.startswith("--"):
            found[word] = []
        elif found:
            found[next(reversed(found))].append(word)
    return found


@pytest.mark.parametrize(
    ("words", "config", "expected"),
    [
        pytest.param(
            "-tp 4 -dp 2", DENSE, {"--tp-size": ["4"], "--dp-size": ["2"], "--attn-dp-size": None}, id="dense"
        ),
        pytest.param(
            "-tp 4 -dp 2", MOE, {"--tp-size": ["8"], "--attn-dp-size": ["2"], "--ep-size": None}, id="experts"
        ),
        pytest.param("-dp 8 -ep", MOE, {"--tp-size": ["8"], "--attn-dp-size": ["8"], "--ep-size": ["8"]}, id="ep"),
        pytest.param("-dp 2", NESTED, {"--tp-size": ["2"], "--attn-dp-size": ["2"]}, id="in text_config"),
        pytest.param("-dp 2", ERNIE, {"--attn-dp-size": ["2"]}, id="a list of counts"),
        pytest.param("-tp 8 -ep", MOE, {"--tp-size": ["8"], "--ep-size": ["8"]}, id="ep without dp"),
        pytest.param("-ep", MOE, {"--ep-size": None}, id="ep on one GPU"),
        pytest.param("-dp 1", MOE, {"--dp-size": None, "--attn-dp-size": None}, id="one replica"),
        pytest.param(
            "-dp 4 -tp 2 --max-num-seqs 64 --max-num-batched-tokens 8192",
            MOE,
            {"--max-running-requests": ["256"], "--chunked-prefill-size": ["32768"], "--max-prefill-tokens": ["8192"]},
            id="SGLang divides by the attention groups",
        ),
        pytest.param(
            "-dp 4 --max-num-seqs 64 --max-num-batched-tokens 8192",
            DENSE,
            {"--max-running-requests": ["64"], "--chunked-prefill-size": ["8192"]},
            id="each replica has its own",
        ),
        pytest.param("-dp 4 --data-parallel-rank 1", DENSE, {"--dp-size": None}, id="one of independent replicas"),
        pytest.param("-pp 2", DENSE, {"--pp-size": ["2"]}, id="pipeline"),
        pytest.param(
            "-tp 2 -pcp 2",
            DENSE,
            {"--tp-size": ["4"], "--attn-cp-size": ["2"], "--enable-prefill-cp": [], "--cp-strategy": ["zigzag"]},
            id="prefill context",
        ),
        pytest.param(
            "-tp 4 -dcp 2 --dcp-comm-backend a2a --dcp-q-replicate",
            DENSE,
            {"--dcp-size": ["2"], "--dcp-comm-backend": ["a2a"], "--dcp-replicate-q-proj": []},
            id="decode context",
        ),
        pytest.param("--dcp-comm-backend a2a", DENSE, {"--dcp-comm-backend": None}, id="no decode context"),
        pytest.param("-tp 2 -dp 2 -ep --enable-dbo", MOE, {"--enable-two-batch-overlap": []}, id="dbo"),
        pytest.param("-tp 2 --enable-dbo", DENSE, {"--enable-two-batch-overlap": None}, id="nothing to overlap"),
        pytest.param(
            "-dp 2 -ep --all2all-backend deepep_high_throughput",
            MOE,
            {"--moe-a2a-backend": ["deepep"], "--deepep-mode": ["normal"]},
            id="all to all",
        ),
        pytest.param("-dp 2 -ep --all2all-backend pplx", MOE, {"--moe-a2a-backend": None}, id="removed from vLLM"),
        pytest.param("-tp 2 -ep --all2all-backend deepep_v2", MOE, {"--moe-a2a-backend": None}, id="without dp"),
        pytest.param(
            "-dp 2 -ep --all2all-backend flashinfer_all2allv", MOE, {"--moe-a2a-backend": None}, id="without a runner"
        ),
        pytest.param(
            "-dp 2 -ep --moe-backend deep_gemm --all2all-backend flashinfer_all2allv",
            MOE,
            {"--moe-a2a-backend": ["flashinfer"], "--moe-runner-backend": ["deep_gemm"]},
            id="with its runner",
        ),
        pytest.param(
            "-tp 2 -ep --enable-eplb --eplb-config.step_interval 50 --eplb-config.num_redundant_experts 2",
            MOE,
            {"--enable-eplb": [], "--eplb-rebalance-num-iterations": ["50"], "--ep-num-redundant-experts": ["2"]},
            id="eplb",
        ),
        pytest.param("--num-redundant-experts 2", MOE, {"--ep-num-redundant-experts": None}, id="eplb is off"),
        pytest.param("--device auto", DENSE, {"--device": None}, id="auto device"),
        pytest.param("--device cpu", DENSE, {"--device": ["cpu"]}, id="cpu"),
        pytest.param("-tp 2 --numa-bind --numa-bind-nodes 0 1", DENSE, {"--numa-node": ["0", "1"]}, id="numa"),
    ],
)
def test_a_flag_becomes(words: str, config: dict[str, Any], expected: dict[str, Any], make_plan: MakePlan) -> None:
    got = values(make_plan("serve", "m/x", *words.split(), model_config=config))
    assert {name: got.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("model", "words", "group"),
    [
        ("Qwen/Qwen3-235B-A22B", "-dp 2", "--attn-dp-size"),
        ("deepseek-ai/DeepSeek-R1", "-dp 2", "--attn-dp-size"),
        ("meta-llama/Llama-3.1-8B", "-dp 2", "--dp-size"),
        ("meta-llama/Llama-3.1-8B", "-dp 2 -ep", "--attn-dp-size"),
    ],
)
def test_what_is_assumed_of_a_model_on_the_hub_is_said(model: str, words: str, group: str, make_plan: MakePlan) -> None:
    made = make_plan("serve", model, *words.split())
    assert values(made)[group] == ["2"]
    assert any("assumed to be" in warning for warning in made.warnings)
    (line,) = (d for d in made.decisions if d.name == "-dp")
    assert "assumed to be" in line.note


def test_nothing_is_assumed_where_config_json_says_it(make_plan: MakePlan) -> None:
    assert not make_plan("serve", "m", "-dp", "2", model_config=DENSE).warnings


@pytest.mark.parametrize(
    ("ids", "env", "expected"),
    [
        ("0,1", {}, {"CUDA_VISIBLE_DEVICES": "0,1"}),
        ("1, 0", {"CUDA_VISIBLE_DEVICES": "4,5"}, {"CUDA_VISIBLE_DEVICES": "5,4"}),
        ("1", {"HIP_VISIBLE_DEVICES": "2,3"}, {"HIP_VISIBLE_DEVICES": "3"}),
        ("GPU-a,GPU-b", {"CUDA_VISIBLE_DEVICES": "4,5"}, {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}),
    ],
)
def test_device_ids_count_within_what_is_visible(
    ids: str, env: dict[str, str], expected: dict[str, str], make_plan: MakePlan
) -> None:
    got = make_plan("serve", "m", "--device-ids", ids, env=env).engines[0].env
    assert {name: value for name, value in got.items() if "VISIBLE" in name} == expected


@pytest.mark.parametrize(
    ("words", "config", "message"),
    [
        ("-tp 0", {}, "give 1 or more"),
        ("-pp -1", {}, "give 1 or more"),
        ("-dp 0", {}, "give 1 or more"),
        ("-ep", DENSE, "no experts"),
        ("-tp 3 -dcp 2", {}, "does not divide"),
        ("-tp 4 -pcp 2 -dcp 2", {}, "cannot combine"),
        ("-dp 2 --data-parallel-rank 1", MOE, "only the first of several nodes serves"),
        ("-dp 2 --data-parallel-rank 1", {}, "only the first of several nodes serves"),
        ("-dp 2 --data-parallel-hybrid-lb", MOE, "only the first"),
        ("-dp 2 -n 2", DENSE, "live on one node"),
        ("--data-parallel-backend ray", {}, "leave it out"),
        ("--device tpu", {}, "does not run on"),
        ("--device-ids 0,0", {}, "different devices"),
        ("--device-ids 0,GPU-a", {}, "mixes"),
        ("--numa-bind-nodes 0", {}, "needs --numa-bind"),
        ("-tp 2 --numa-bind --numa-bind-nodes 0", {}, "1 NUMA nodes for 2 GPUs"),
        ("--enable-elastic-ep", {}, "another protocol"),
        ("--enable-eplb", MOE, "needs --enable-expert-parallel"),
        ('-tp 2 -ep --enable-eplb --eplb-config {"step_interval":"x"}', MOE, "give a number"),
        ("--eplb-config []", MOE, "give a JSON object"),
        ('--eplb-config {"window":1}', MOE, "vLLM has no window"),
    ],
)
def test_is_refused(words: str, config: dict[str, Any], message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message):
        make_plan("serve", "m", *words.split(), model_config=config)
