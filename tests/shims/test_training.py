"""A trainer's switches: what SGLang is started with for them, and what the operator is told."""

from __future__ import annotations

import pytest

from tests.shims.conftest import MakePlan

SWITCHES = ("VLLM_SHIM_RL", "VLLM_SERVER_DEV_MODE")


def watchdog(argv: tuple[str, ...]) -> str | None:
    return argv[argv.index("--watchdog-timeout") + 1] if "--watchdog-timeout" in argv else None


@pytest.mark.parametrize("name", SWITCHES)
def test_a_pause_with_requests_in_flight_does_not_end_the_engine(make_plan: MakePlan, name: str) -> None:
    plan = make_plan("serve", "m", env={name: "1"})
    assert watchdog(plan.engines[0].argv) == "86400"
    assert plan.policy.watchdog_seconds == 300, "what is stalled outside of a pause is told as soon as before"
    assert any("--watchdog-timeout 86400" in target for target, _ in plan.added)
    assert watchdog(make_plan("serve", "m").engines[0].argv) is None


@pytest.mark.parametrize("name", SWITCHES)
def test_the_operators_own_limit_holds(make_plan: MakePlan, name: str) -> None:
    env = {name: "1", "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS": "900"}
    plan = make_plan("serve", "m", env=env)
    assert (watchdog(plan.engines[0].argv), plan.policy.watchdog_seconds) == ("900", 900)


def test_the_start_says_who_may_do_what(make_plan: MakePlan) -> None:
    assert any("VLLM_SHIM_RL is set" in one for one in make_plan("serve", "m", env={"VLLM_SHIM_RL": "1"}).warnings)
    assert not any("VLLM_SHIM_RL" in one for one in make_plan("serve", "m").warnings)
