"""SGLang's own flags, on the command line and in VLLM_SHIM_ENGINE_ARGS."""

from __future__ import annotations

import shlex

import pytest

from shims.catalog import catalogs
from shims.exceptions import Refused
from shims.flags.passed import HOUSE
from shims.plan import Plan
from tests.shims.conftest import MakePlan

SGLANG = catalogs()[1]
NEGATIONS = [(negation, flag.name) for flag in SGLANG.flags for negation in flag.negations]
NOT_HERE = {
    "--grpc-mode": (),
    "--smg-grpc-mode": (),
    "--grpc-port": ("5000",),
    "--smg-http-sidecar-port": ("5000",),
    "--grpc-http-sidecar-port": ("5000",),
    "--sidecar": ("a.b",),
    "--sidecar-args": ("[]",),
    "--encoder-only": (),
    "--enable-http2": (),
    "--disaggregation-mode": ("prefill",),
    "--decoupled-spec-role": ("drafter",),
    "--node-rank": ("1",),
    "--use-ray": (),
}
VLLM_TOO = ("--grpc-port", "--node-rank")  # on the command line they are vLLM's


def argv(made: Plan) -> tuple[str, ...]:
    return made.engines[0].argv


def in_variable(make_plan: MakePlan, *words: str) -> Plan:
    return make_plan("serve", "m", env={"VLLM_SHIM_ENGINE_ARGS": shlex.join(words)})


def test_sglang_has_switches_that_can_be_turned_off() -> None:
    assert len(NEGATIONS) == 12


@pytest.mark.parametrize(("negation", "name"), NEGATIONS)
def test_a_negation_says_the_opposite(negation: str, name: str, make_plan: MakePlan) -> None:
    for made in (make_plan("serve", "m", negation), in_variable(make_plan, negation)):
        assert negation in argv(made)
        assert name not in argv(made)


@pytest.mark.parametrize(("negation", "name"), NEGATIONS)
def test_of_a_switch_and_its_negation_the_last_one_counts(negation: str, name: str, make_plan: MakePlan) -> None:
    for first, last in ((negation, name), (name, negation)):
        made = (
            make_plan("serve", "m", first, last),
            in_variable(make_plan, first, last),
            make_plan("serve", "m", first, env={"VLLM_SHIM_ENGINE_ARGS": last}),
        )
        assert [(last in argv(one), first in argv(one)) for one in made] == [(True, False)] * 3


def test_a_negation_takes_a_translation_back_and_says_so(make_plan: MakePlan) -> None:
    env = {"VLLM_SHIM_ENGINE_ARGS": "--no-mm-enable-dp-encoder"}
    made = make_plan("serve", "m", "--mm-encoder-tp-mode", "data", env=env)
    assert "--mm-enable-dp-encoder" not in argv(made)
    assert any("wins over --mm-encoder-tp-mode" in warning for warning in made.warnings)


@pytest.mark.parametrize(("name", "values"), NOT_HERE.items())
def test_what_would_take_the_server_away_is_refused_by_name(
    name: str, values: tuple[str, ...], make_plan: MakePlan
) -> None:
    assert SGLANG.by_spelling[name].name in HOUSE
    with pytest.raises(Refused, match=f"^{name}: "):
        in_variable(make_plan, name, *values)
    if name not in VLLM_TOO:
        env = {"VLLM_SHIM_UNSUPPORTED": "warn", "VLLM_SHIM_IGNORE_FLAGS": name}
        with pytest.raises(Refused, match=f"^{name}: "):
            make_plan("serve", "m", name, *values, env=env)


def test_a_rank_comes_from_vllms_flag(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "-tp", "2", "--nnodes", "2", "--node-rank", "1", "--master-addr", "h")
    assert argv(made)[argv(made).index("--node-rank") + 1] == "1"
    assert not made.front_door


def test_all_of_the_house_are_flags_of_sglangs() -> None:
    assert {name for name in HOUSE if name not in SGLANG.by_spelling} == set()
    assert {name: SGLANG.by_spelling[name].name for name in HOUSE} == {name: name for name in HOUSE}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--disable-cuda-graph foo", "--disable-cuda-graph: SGLang's flag takes no value"),
        ("--no-lora-strict-loading foo", "takes no value"),
        ("--tp-size", "--tp-size: SGLang's flag takes one value: none given"),
        ("--tp-size 1 2", "takes one value: 2 given"),
        ("--lora-paths", "at least one value"),
        ("--model-checksum a b", "at most one value"),
        ("--tp-size abc", "--tp-size: 'abc' is not a whole number"),
        ("--tp-size 1.5", "is not a whole number"),
        ("--mem-fraction-static x", "--mem-fraction-static: 'x' is not a number"),
        ("--cuda-graph-bs-decode 1 x", "'x' is not a whole number"),
        ("--max-total-tokens 32K", "'32K' is not a number such as 4096, 32k or 32Ki"),
        ("--mm-process-config {", "is not JSON"),
        ("--log-level bogus", "--log-level: 'bogus' is none of debug"),
        ("--log-level-http bogus", "'bogus' is none of trace"),
    ],
)
def test_a_value_that_sglangs_parser_would_die_of_is_refused(words: str, message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message.replace("(", r"\(")):
        in_variable(make_plan, *words.split())


def test_the_type_of_a_flag_of_sglangs_is_checked_on_the_command_line_too(make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match="--tp-size: 'abc' is not a whole number"):
        make_plan("serve", "m", "--tp-size", "abc")


@pytest.mark.parametrize(
    "words",
    [
        "--max-total-tokens 32k",
        "--max-total-tokens 1.5M",
        "--max-total-tokens 4Ki",
        "--max-total-tokens 4096",
        "--mem-fraction-static 0.8",
        "--mem-fraction-static 1e-1",
        "--cuda-graph-bs-decode 1 2 4",
        "--model-checksum",
        "--log-level INFO",
        "--chunked-prefill-size -1",
    ],
)
def test_a_value_that_fits_goes_on_as_it_is(words: str, make_plan: MakePlan) -> None:
    got = shlex.join(argv(in_variable(make_plan, *words.split())))
    assert words in got
