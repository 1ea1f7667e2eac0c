"""VLLM_SHIM_UNSUPPORTED and VLLM_SHIM_IGNORE_FLAGS: which refusals become warnings, and which stand."""

from __future__ import annotations

import pytest

from shims.exceptions import CommandLineError, Refused
from tests.shims.conftest import MakePlan

UNSUPPORTED = ["--worker-cls", "a.B", "--no-such-flag"]
WARN = {"VLLM_SHIM_UNSUPPORTED": "warn"}


def test_a_refusal_names_every_refused_flag(make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "m", *UNSUPPORTED)
    assert [name for name, _ in caught.value.refusals] == ["--worker-cls", "--no-such-flag"]
    assert "2 arguments cannot be honoured" in str(caught.value)


def test_warn_turns_refusals_into_warnings(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", *UNSUPPORTED, env=WARN)
    assert len([w for w in made.warnings if "NOT honoured" in w]) == 2
    assert [d.action for d in made.decisions if d.kind == "flag" and d.name != "model"] == ["drop", "drop"]


def test_ignored_flags_are_named_one_by_one(make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "m", *UNSUPPORTED, env={"VLLM_SHIM_IGNORE_FLAGS": "--worker_cls"})
    assert [name for name, _ in caught.value.refusals] == ["--no-such-flag"]
    make_plan("serve", "m", *UNSUPPORTED, env={"VLLM_SHIM_IGNORE_FLAGS": "--worker-cls, --no-such-flag"})


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--middleware", "my.Auth"], id="a middleware, which may check who calls"),
        pytest.param(["--port", "99999"], id="an impossible value"),
        pytest.param(["--served-model-name", ""], id="an empty name"),
        pytest.param(["--admin-api-key", "x"], id="what holds the house together"),
    ],
)
def test_what_endangers_security_or_the_house_stays_refused(make_plan: MakePlan, words: list[str]) -> None:
    flag = words[0]
    with pytest.raises(Refused, match=flag):
        make_plan("serve", "m", *words, env={**WARN, "VLLM_SHIM_IGNORE_FLAGS": flag})


def test_an_unknown_flag_that_may_have_taken_the_model_is_never_ignored(make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match="--no-such-flag"):
        make_plan("serve", "--no-such-flag", "m", env=WARN)
    assert make_plan("serve", "m", "--no-such-flag", "x", env=WARN).model == "m"


@pytest.mark.parametrize(
    ("env", "message"),
    [({"VLLM_SHIM_UNSUPPORTED": "yes"}, "one of refuse, warn"), ({"VLLM_SHIM_IGNORE_FLAGS": "a"}, "'a' is no flag")],
)
def test_a_wrong_word_is_an_error(make_plan: MakePlan, env: dict[str, str], message: str) -> None:
    with pytest.raises(CommandLineError, match=message):
        make_plan("serve", "m", env=env)
