"""The engine's state: which changes there are, and what each state answers."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import pytest

from middleware.engine import PHASE_HEADER, TRANSITIONS, Engine, IllegalTransition, State
from middleware.phases import Phase

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
    assert engine.readiness().status_code == (200 if admits else 503)
    assert (bytes(engine.readiness().body) == b"") is admits
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


@pytest.mark.parametrize("state", [State.PAUSED, State.ASLEEP])
def test_a_paused_engine_that_dies_is_gone_and_the_next_one_is_ready(state: State) -> None:
    engine = engine_in(state)
    engine.become(State.GONE, "nothing answers on its port")
    assert (engine.health().status_code, engine.readiness().status_code) == (503, 503)
    with pytest.raises(IllegalTransition):
        engine.become(state, "the new one is not")
    engine.become(State.READY, "it serves a model")
    assert (engine.health().status_code, engine.readiness().status_code) == (200, 200)


def test_it_says_since_when_it_is_what_it_is() -> None:
    engine = Engine()
    before = engine.since
    assert before <= time.time()
    engine.become(State.READY, "now")
    first = engine.since
    assert before <= first <= time.time()
    engine.become(State.READY, "again")
    engine.explain("for another reason")
    assert engine.since == first


@pytest.mark.parametrize("state", [State.LOADING, State.GONE])
def test_the_phase_of_a_start_is_in_every_refusal(state: State) -> None:
    engine = engine_in(state)
    engine.reach(Phase.CAPTURE)
    for answer in (engine.refusal(), engine.health(), engine.readiness()):
        assert answer is not None
        assert "(phase: graph capture)" in json.loads(bytes(answer.body))["error"]["message"]
        assert answer.headers[PHASE_HEADER] == "graph capture"
    engine.explain("its /health answers 503")
    assert b"(phase: graph capture)" in bytes(engine.health().body)
    engine.reach(None)
    assert b"phase" not in bytes(engine.health().body)
    assert PHASE_HEADER not in engine.health().headers


def test_the_phases_of_a_start_are_lines_of_the_log_with_how_long_each_took(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    engine = Engine()
    for phase in (Phase.LOAD, Phase.LOAD, Phase.WARM_UP):
        engine.reach(phase)
    engine.become(State.READY, "it serves a model")
    engine.reach(Phase.LOAD)  # a word of the log that comes late
    assert engine.phase is None
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" (")[0] for line in lines] == [
        "engine: now load",
        lines[1],
        lines[2],
        "engine: loading -> ready",
    ]
    assert lines[1].startswith("engine: load took ")
    assert lines[1].endswith(" s, now warm-up")
    assert lines[2].startswith("engine: warm-up took ")
