"""Programs that die: what the container does, with which code it ends, and what it says last."""

import os
import signal
from pathlib import Path

import pytest

from tests.supervision.programs import ORDERLY, READY_THEN_SLEEP, SLEEP, ends_with
from tests.supervision.supervised import Container


def test_an_engine_that_dies_before_it_was_ready_ends_the_container_with_its_code(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", ends_with("sys.stderr.write('no such model')\nsys.exit(37)", lines=50))
    container.program("haproxy", ORDERLY, priority=1)
    with container:
        assert container.exit_code() == 37
    words = [
        "[supervisor] the last 30 lines of engine:",
        *(f"[engine] line {number}" for number in range(21, 50)),
        "[engine] no such model",
        "[supervisor] engine: exit code 37; died before it was ready",
        "[supervisor] the container exits with code 37",
    ]
    assert container.last_lines(len(words)) == words
    assert container.termination_log.read_text().splitlines() == words
    assert container.errors() == ""


@pytest.mark.parametrize(
    ("statement", "how", "code"),
    [
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL", 137, id="killed"),
        pytest.param("sys.exit(0)", "exit code 0", 1, id="exit-0-is-a-loss-too"),
    ],
)
@pytest.mark.parametrize("startsecs", [0, 60], ids=["running", "starting"])
def test_ways_to_die(tmp_path: Path, statement: str, how: str, code: int, startsecs: int) -> None:
    container = Container(tmp_path, engines="engine")
    container.program("engine", ends_with(statement), startsecs=startsecs)
    with container:
        assert container.exit_code() == code
    assert container.last_lines(3) == [
        "[supervisor] engine said nothing",
        f"[supervisor] engine: {how}; died before it was ready",
        f"[supervisor] the container exits with code {code}",
    ]


def test_an_engine_whose_command_is_missing(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine")
    container.program("engine", "/no/such/engine --port 1")
    with container:
        assert container.exit_code() == 1
    assert container.last_lines(2) == [
        "[supervisor] engine: could not be started; can't find command '/no/such/engine'",
        "[supervisor] the container exits with code 1",
    ]


def test_a_once_ready_engine_that_dies_ends_the_container_under_policy_exit(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said(r"^\[engine\] serving$")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        assert container.exit_code() == 137
    assert container.last_lines(2)[0] == (
        "[supervisor] engine: signal SIGKILL; lost after it had been ready; restart policy is exit"
    )
    assert not (container.ready / "engine").exists()


def test_a_once_ready_engine_is_restarted_in_place_until_its_budget_is_spent(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="in-place", crash_limit=2)
    container.program("engine", READY_THEN_SLEEP, startsecs=1)
    with container:
        container.said(r"^\[engine\] serving$")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        container.said(r"engine: signal SIGKILL; restart in 1 s$")
        container.said(r"^\[engine\] serving$", times=2)
        assert (container.ready / "engine").exists()
        os.kill(container.spawned("engine", times=2), signal.SIGKILL)
        assert container.exit_code() == 137
    assert container.last_lines(2)[0] == "[supervisor] engine: signal SIGKILL; 2 exits within 600 s"


def test_the_wait_is_longer_after_each_death_and_is_not_cut_by_supervisord(tmp_path: Path) -> None:
    """4.3.0 cuts a delay that is longer than its own backoff count."""
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", READY_THEN_SLEEP)
    with container:
        for life, wait in enumerate((1, 2), start=1):
            container.said(r"^\[engine\] serving$", times=life)
            os.kill(container.spawned("engine", times=life), signal.SIGKILL)
            container.said(rf"engine: signal SIGKILL; restart in {wait} s$")
        died = container.seconds_of(r"exited: engine", times=2)
        restarted = container.seconds_of(r"spawned: 'engine'", times=3)
        assert round(restarted - died, 3) >= 2


def test_the_ready_file_of_an_earlier_life_says_nothing(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", ends_with("sys.exit(5)"))
    stale = container.ready / "engine"
    stale.touch()
    os.utime(stale, (1, 1))
    with container:
        assert container.exit_code() == 5
    assert "died before it was ready" in container.last_lines(2)[0]
    assert container.output().count("INFO spawned") == 1
    assert not stale.exists()


def test_a_helper_is_restarted_until_its_budget_is_spent(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", helper_crash_limit=3)
    container.program("engine", ORDERLY, priority=1)
    container.program("haproxy", SLEEP, priority=2)
    with container:
        container.said(r"^\[engine\] up$")
        for life in (1, 2, 3):
            os.kill(container.spawned("haproxy", times=life), signal.SIGKILL)
        assert container.exit_code() == 137
    assert container.last_lines(2)[0] == "[supervisor] haproxy: signal SIGKILL; 3 exits within 600 s"
    assert (tmp_path / "record").read_text() == "engine.py told SIGTERM\nengine.py done\n"


@pytest.mark.parametrize(
    ("source", "reason", "code"),
    [
        pytest.param(
            ends_with("sys.exit(9)"), "exit code 9; exits in a row within 60 s of the start: 1", 9, id="crash-loop"
        ),
        pytest.param("/no/such/helper", "could not be started; can't find command '/no/such/helper' (tries: 1)", 1),
    ],
)
def test_a_helper_that_supervisord_gives_up_ends_the_container(
    tmp_path: Path, source: str, reason: str, code: int
) -> None:
    container = Container(tmp_path)
    container.program("helper", source, startsecs=60, startretries=0)
    with container:
        assert container.exit_code() == code
    assert container.last_lines(2) == [
        f"[supervisor] helper: {reason}",
        f"[supervisor] the container exits with code {code}",
    ]


def test_what_an_operator_stops_or_restarts_never_counts(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="exit", crash_limit=1, helper_crash_limit=1)
    container.program("engine", READY_THEN_SLEEP)
    container.program("haproxy", SLEEP)
    with container:
        container.said(r"^\[engine\] serving$")
        assert "engine: started" in container.control("restart", "engine")
        container.said(r"^\[engine\] serving$", times=2)
        assert "haproxy: started" in container.control("restart", "haproxy")
        assert "engine: stopped" in container.control("stop", "engine")
        assert not (container.ready / "engine").exists()
        assert "engine: started" in container.control("start", "engine")
        container.said(r"^\[engine\] serving$", times=3)
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
    assert container.termination_log.read_text() == ""
