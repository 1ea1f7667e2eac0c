"""The engine's state: which changes there are, and what each state answers."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from middleware.engine import TRANSITIONS, Engine, IllegalTransition, State

PATHS = {
    State.LOADING: [],
    State.READY: [State.READY],
    State.PAUSED: [State.READY, State.PAUSED],
    State.ASLEEP: [State.READY, State.ASLEEP],
    State.GONE: [State.READY, State.GONE],
}


def engine_in(state: State) -> Engine:
    engine = Engine()
    for step in PATHS[state]:
        engine.become(step, "the test says so")
    return engine


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_only_the_changes_in_the_table_happen(before: State, after: State) -> None:
    engine = engine_in(before)
    if before is after:
        assert not engine.become(after, "again")
    elif after in TRANSITIONS[before]:
        assert engine.become(after, "now")
    else:
        with pytest.raises(IllegalTransition, match=f"from {before.value} to {after.value}"):
            engine.become(after, "never")
    assert engine.state is (after if after in TRANSITIONS[before] else before)


@pytest.mark.parametrize(
    ("state", "health", "admits"),
    [
        (State.LOADING, 503, False),
        (State.READY, 200, True),
        # A probe that heard 503 of a paused engine would have the pod killed.
        (State.PAUSED, 200, False),
        (State.ASLEEP, 200, False),
        (State.GONE, 503, False),
    ],
)
def test_what_a_state_answers(state: State, health: int, admits: bool) -> None:
    engine = engine_in(state)
    assert engine.health().status_code == health
    assert (bytes(engine.health().body) == b"") is (health == 200)
    assert (engine.refusal() is None) is admits


@pytest.mark.parametrize("state", [State.LOADING, State.PAUSED, State.ASLEEP, State.GONE])
def test_a_refusal_is_vllms_503_with_a_sentence_and_when_to_come_back(state: State) -> None:
    refusal = engine_in(state).refusal()
    assert refusal is not None
    assert refusal.status_code == 503
    assert int(refusal.headers["retry-after"]) > 0
    error: dict[str, Any] = json.loads(bytes(refusal.body))["error"]
    assert error["type"] == "ServiceUnavailableError"
    assert (error["param"], error["code"]) == (None, 503)
    assert state.value in error["message"]


def test_a_new_reason_for_the_same_state_is_told() -> None:
    engine = engine_in(State.GONE)
    engine.explain("its /health answers 503")
    refusal = engine.refusal()
    assert refusal is not None
    assert b"its /health answers 503" in bytes(refusal.body)
