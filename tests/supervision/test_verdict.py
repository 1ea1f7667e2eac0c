"""What a death means, row by row."""

import pytest

from supervision.settings import Settings
from supervision.verdict import GiveUp, Policy, Restart, judge, policy_for

SETTINGS = Settings(engines=("sglang",), crash_limit=3, crash_window_seconds=600, helper_crash_limit=10)
EXIT = policy_for("sglang", SETTINGS)
IN_PLACE = policy_for("sglang", Settings(engines=("sglang",), engine_restart="in-place"))
HELPER = policy_for("haproxy", SETTINGS)
PATIENT = Policy(IN_PLACE.on_death, limit=100, window_seconds=600)


@pytest.mark.parametrize(
    ("policy", "was_ready", "deaths", "verdict"),
    [
        pytest.param(EXIT, False, [1000], GiveUp("died before it was ready"), id="a-bad-flag"),
        pytest.param(IN_PLACE, False, [1000], Restart(1), id="a-start-that-failed-in-place"),
        pytest.param(IN_PLACE, False, [800, 900, 1000], GiveUp("3 exits within 600 s"), id="budget-spent-before-ready"),
        pytest.param(
            EXIT, True, [1000], GiveUp("lost after it had been ready; restart policy is exit"), id="ready-exit"
        ),
        pytest.param(IN_PLACE, True, [1000], Restart(1), id="first-death-in-place"),
        pytest.param(IN_PLACE, True, [900, 1000], Restart(2), id="second-death-waits-longer"),
        pytest.param(IN_PLACE, True, [800, 900, 1000], GiveUp("3 exits within 600 s"), id="budget-spent"),
        pytest.param(IN_PLACE, True, [100, 200, 1000], Restart(1), id="old-deaths-are-forgotten"),
        pytest.param(
            IN_PLACE, True, [400, 900, 1000], GiveUp("3 exits within 600 s"), id="the-window-includes-its-edge"
        ),
        pytest.param(PATIENT, True, [995, 996, 997, 998, 999, 1000], Restart(30), id="no-wait-is-longer-than-30-s"),
        pytest.param(HELPER, False, [1000], Restart(0), id="a-helper-at-once"),
        pytest.param(HELPER, False, list(range(992, 1001)), Restart(0), id="a-helper-nine-times"),
        pytest.param(HELPER, False, list(range(991, 1001)), GiveUp("10 exits within 600 s"), id="a-helper-ten-times"),
    ],
)
def test_verdict(policy: Policy, was_ready: bool, deaths: list[float], verdict: Restart | GiveUp) -> None:
    assert judge(policy, was_ready=was_ready, deaths=deaths, now=1000) == verdict


def test_what_cannot_heal_ends_it_in_place_but_not_what_had_been_ready() -> None:
    hopeless = judge(IN_PLACE, was_ready=False, deaths=[1000], now=1000, can_heal=False)
    assert hopeless == GiveUp("died before it was ready, and would at every try")
    assert judge(IN_PLACE, was_ready=True, deaths=[1000], now=1000, can_heal=False) == Restart(1)
    assert judge(EXIT, was_ready=False, deaths=[1000], now=1000, can_heal=False) == GiveUp("died before it was ready")
    assert judge(HELPER, was_ready=False, deaths=[1000], now=1000, can_heal=False) == Restart(0)


def test_starts_that_take_longer_to_fail_than_the_window_is_wide_are_counted_too() -> None:
    assert judge(IN_PLACE, was_ready=False, deaths=[1000, 3000], now=3000, failed_starts=2) == Restart(1)
    verdict = judge(IN_PLACE, was_ready=False, deaths=[1000, 3000, 5000], now=5000, failed_starts=3)
    assert verdict == GiveUp("3 starts in a row failed")


def test_a_worker_rank_ends_the_container_whatever_the_restart_policy_is() -> None:
    policy = policy_for("engine", Settings(engines=("engine",), worker_rank=True, engine_restart="in-place"))
    verdict = judge(policy, was_ready=False, deaths=[0.0], now=0.0)
    assert isinstance(verdict, GiveUp)
    assert "one of several ranks" in verdict.reason
