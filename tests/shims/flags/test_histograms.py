"""Histograms: SGLang counts between vLLM's bounds, or the operator's, and the middleware knows which."""

from __future__ import annotations

import pytest

from middleware.metrics.buckets import FAMILIES
from shims.exceptions import Refused
from shims.plan import Plan
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_observability import value_of

SECONDS = {
    "request_latency": "--bucket-e2e-request-latency",
    "time_to_first_token": "--bucket-time-to-first-token",
    "inter_token_latency": "--bucket-inter-token-latency",
}
TOKENS = ("--prompt-tokens-buckets", "--generation-tokens-buckets")
CUSTOM = "--custom-histogram-buckets"


def decision(made: Plan) -> tuple[str, str]:
    (found,) = (d for d in made.decisions if d.name == CUSTOM)
    return found.action, found.note


def test_sglang_counts_between_vllms_bounds(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m")
    for family, flag in SECONDS.items():
        assert [float(text) for text in value_of(made, flag) or ()] == list(FAMILIES[family])
    for flag in TOKENS:
        rule, *bounds = value_of(made, flag) or [""]
        assert (rule, list(map(float, bounds))) == ("custom", list(FAMILIES["request_tokens"]))
        assert bounds[:4] == ["1", "2", "5", "10"]
        assert bounds[-1] == "20000000"
    assert made.policy.histogram_buckets == {}


def test_the_report_has_a_short_line_for_each_of_them(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m")
    lines = [target for target, why in made.added if "histogram" in why]
    assert [line.split()[0] for line in lines] == [*SECONDS.values(), *TOKENS]
    assert lines[1] == "--bucket-time-to-first-token 0.001 ... 2560"
    assert max(map(len, lines)) <= 48


def test_the_operators_bounds_are_sglangs_and_the_middlewares(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", CUSTOM, '{"request_latency": [0.1, 1, 10], "request_tokens": [1, 10]}')
    assert value_of(made, "--bucket-e2e-request-latency") == ["0.1", "1", "10"]
    assert [value_of(made, flag) for flag in TOKENS] == [["custom", "1", "10"]] * 2
    assert len(value_of(made, "--bucket-inter-token-latency") or ()) == len(FAMILIES["inter_token_latency"])
    assert made.policy.histogram_buckets == {"request_latency": (0.1, 1.0, 10.0), "request_tokens": (1.0, 10.0)}
    assert decision(made) == ("convert", "the times of queue and prefill keep SGLang's bounds, which nothing sets")


@pytest.mark.parametrize("engine_args", [False, True])
def test_sglangs_own_flags_win_over_both_and_the_middleware_is_told(engine_args: bool, make_plan: MakePlan) -> None:
    own = ["--bucket-e2e-request-latency", "1", "2", "--prompt-tokens-buckets", "custom", "9", "3"]
    words = [CUSTOM, '{"request_latency": [5]}', *([] if engine_args else own)]
    made = make_plan("serve", "m", *words, env={"VLLM_SHIM_ENGINE_ARGS": " ".join(own)} if engine_args else {})
    assert value_of(made, "--bucket-e2e-request-latency") == ["1", "2"]
    assert made.policy.histogram_buckets == {"request_latency": (1.0, 2.0), "request_tokens": (3.0, 9.0)}
    assert not [target for target, _ in made.added if own[0] in target or own[3] in target]


@pytest.mark.parametrize("flag", TOKENS)
def test_bounds_for_prompts_or_for_answers_are_the_familys(flag: str, make_plan: MakePlan) -> None:
    """The middleware seeds and trims both by one list."""
    made = make_plan("serve", "m", flag, "custom", "3", "9")
    assert [value_of(made, one) for one in TOKENS] == [["custom", "3", "9"]] * 2
    assert made.policy.histogram_buckets == {"request_tokens": (3.0, 9.0)}
    (line,) = (line for line in made.added if line[0].split()[0] in TOKENS)
    assert line[1] == "the bounds of the other: prompts and answers are one family in vLLM"


@pytest.mark.parametrize("rule", [["default"], ["tse", "1000", "2", "8"]])
def test_a_formula_of_sglangs_is_its_own_to_work_out(rule: list[str], make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--prompt-tokens-buckets", *rule)
    assert value_of(made, "--prompt-tokens-buckets") == rule
    assert made.policy.histogram_buckets == {}


def test_what_the_middleware_counts_itself_has_the_operators_bounds_too(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", CUSTOM, '{"request_params_n": [1, 4]}')
    assert decision(made) == ("ours", "the middleware counts request_params_n")
    assert made.policy.histogram_buckets == {"request_params_n": (1.0, 4.0)}


@pytest.mark.parametrize("family", ["iteration_tokens", "request_num_preemptions", "kv_cache_residency"])
def test_families_without_a_histogram_are_named(family: str, make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", CUSTOM, f'{{"{family}": [1]}}')
    assert decision(made) == ("drop", f"SGLang has no histogram for {family}")
    both = make_plan("serve", "m", CUSTOM, f'{{"{family}": [1], "inter_token_latency": [1]}}')
    assert decision(both) == ("convert", f"SGLang has no histogram for {family}")


def test_a_request_for_no_family_asks_for_nothing(make_plan: MakePlan) -> None:
    assert decision(make_plan("serve", "m", CUSTOM, "{}")) == ("drop", "it names no family")


@pytest.mark.parametrize(
    "value",
    [
        "[]",
        "1",
        '{"x": [1]}',
        '{"request_latency": []}',
        '{"request_latency": 1}',
        '{"request_latency": [true]}',
        '{"request_latency": [0]}',
        '{"request_latency": [2, 1]}',
        '{"request_latency": [1, 1]}',
        '{"request_latency": [NaN]}',
        '{"request_latency": [Infinity]}',
        '{"request_latency": ["1"]}',
        '{"request_latency": [1' + "0" * 400 + "]}",
    ],
)
def test_buckets_that_vllm_would_not_take_are_refused(value: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match="--custom-histogram-buckets"):
        make_plan("serve", "m", "--custom-histogram-buckets", value)
