"""Programs that die: what the container does, with which code it ends, and what it says last."""

import json
import os
import signal
from pathlib import Path

import pytest

from supervision.diagnosis import SIGNALS
from tests.supervision.programs import DEAF, ORDERLY, READY_THEN_SLEEP, SLEEP, ends_with
from tests.supervision.supervised import Container


def test_an_engine_that_dies_before_it_was_ready_ends_the_container_with_its_code(tmp_path: Path) -> None:
    shim_log = tmp_path / "shim.log"
    container = Container(tmp_path, engines="engine", engine_restart="exit", shim_log=shim_log)
    container.program("engine", ends_with("sys.stderr.write('no such model')\nsys.exit(37)", lines=50))
    container.program("haproxy", ORDERLY, priority=1)
    with container:
        assert container.exit_code() == 37
    words = [
        "[supervisor] the last 30 lines of engine:",
        *(f"[engine] line {number}" for number in range(21, 50)),
        "[engine] no such model",
        "[supervisor] engine: exit code 37 in phase start; died before it was ready",
        "[supervisor] the container exits with code 37",
    ]
    assert container.last_lines(len(words)) == words
    assert container.termination_log.read_text().splitlines() == words
    stamp = len("2026-11-22 02:43:11 ")
    assert [line[stamp:] for line in shim_log.read_text().splitlines()] == words
    assert shim_log.stat().st_mode & 0o777 == 0o600
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
        f"[supervisor] engine: {how} in phase start; died before it was ready",
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
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", ends_with("sys.exit(5)"))
    stale = container.ready / "engine"
    stale.touch()
    os.utime(stale, (1, 1))
    with container:
        assert container.exit_code() == 5
    assert "died before it was ready" in container.last_lines(2)[0]
    assert container.output().count("INFO spawned") == 1
    assert not stale.exists()


def test_a_clock_that_was_set_back_makes_no_engine_that_serves_one_that_never_did(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said(r"^\[engine\] serving$")
        os.utime(container.ready / "engine", (1, 1))
        os.kill(container.spawned("engine"), signal.SIGKILL)
        assert container.exit_code() == 128 + signal.SIGKILL
    assert "lost after it had been ready" in container.last_lines(2)[0]


@pytest.mark.parametrize(
    "line",
    [
        "[W socket.cpp:601] [c10d] The client socket has failed to connect to [localhost]:29500 (errno: 99).",
        "falling back to inline transport. Consider increasing /dev/shm size.",
        "[2026-11-22 03:00:00] Receive: obj=GenerateReqInput(text='why does it say No space left on device?')",
    ],
)
def test_what_is_harmless_or_a_clients_words_is_no_cause_of_the_death_of_an_engine_that_served(
    line: str, tmp_path: Path
) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", f"print({line!r}, flush=True)\n{READY_THEN_SLEEP}")
    with container:
        container.said(r"^\[engine\] serving$")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        assert container.exit_code() == 128 + signal.SIGKILL
    cause, code = container.last_lines(2)
    assert cause == "[supervisor] engine: signal SIGKILL; lost after it had been ready; restart policy is exit"
    assert code.endswith("exits with code 137")


def test_a_worker_rank_that_had_fired_up_died_later_and_not_at_its_start(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", worker_rank="yes")
    says = ["Attention heads 7 is not divisible by 2", "The server is fired up and ready to roll!"]
    container.program("engine", "".join(f"print({line!r}, flush=True)\n" for line in says) + SLEEP)
    with container:
        container.said(r"^\[engine\] The server is fired up")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        assert container.exit_code() == 128 + signal.SIGKILL
    assert "divide" not in container.last_lines(2)[0]
    assert "warm-up" not in container.last_lines(2)[0]


def test_an_engine_that_dies_while_the_container_stops_is_written_down(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    container = Container(tmp_path, engines="engine", state_file=state)
    container.program("engine", READY_THEN_SLEEP, priority=10)
    container.program("haproxy", DEAF, priority=30, stopwaitsecs=3)
    with container:
        container.said(r"^\[engine\] serving$")
        container.said(r"^\[haproxy\] up$")
        container.send(signal.SIGTERM)
        container.said("waiting for .* to die")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        assert container.exit_code() == 0
    assert "engine: signal SIGKILL, while the container was stopping" in container.output()
    (death,) = json.loads(state.read_text())["programs"]["engine"]["deaths"]
    assert death["how"] == "signal SIGKILL"


def test_in_place_a_start_that_failed_for_an_unknown_reason_is_tried_within_the_budget(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", ends_with("print('Load weight begin.', flush=True)\nsys.exit(5)"))
    with container:
        assert container.exit_code() == 5
    assert "engine: exit code 5 in phase load; restart in 1 s" in container.output()
    assert "engine: exit code 5 in phase load; restart in 2 s" in container.output()
    assert container.last_lines(2)[0] == "[supervisor] engine: exit code 5 in phase load; 3 exits within 600 s"


# What SGLang says, and how it then ends itself: it kills itself when one of its processes has failed.
FAILS = """
import os, signal, sys
print(open("cause").read(), "more of a traceback\\n" * 100, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
SERVES_ONCE = """
import os, pathlib, signal
if not os.path.exists("once"):
    pathlib.Path("once").touch()
    pathlib.Path("ready/engine").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
HOPELESS = "ValueError: Model architectures ['X'] are not supported for now. Supported architectures: dict_keys([])"
TRANSIENT = "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB."


@pytest.mark.parametrize("policy", ["exit", "in-place"])
def test_what_cannot_heal_ends_the_container_at_once_and_is_said_last(tmp_path: Path, policy: str) -> None:
    (tmp_path / "cause").write_text(HOPELESS)
    container = Container(tmp_path, engines="engine", engine_restart=policy)
    container.program("engine", FAILS)
    with container:
        assert container.exit_code() == 137
    assert container.output().count("INFO spawned") == 1
    words = container.last_lines(3)
    assert words[0].startswith("[supervisor] engine: signal SIGKILL in phase start; died before it was ready")
    assert words[1].startswith("[supervisor] unknown architecture: ")
    assert HOPELESS in words[1]
    assert container.termination_log.read_text().splitlines()[-3:] == words


def test_the_cause_is_known_though_the_log_cannot_be_written(tmp_path: Path) -> None:
    """As on a full disk: it is heard, not read from the file, and stands far above the last lines."""
    (tmp_path / "cause").write_text(HOPELESS)
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", FAILS, stdout_logfile="/dev/full")
    with container:
        assert container.exit_code() == 137
    assert HOPELESS in container.last_lines(2)[0]


def test_what_fitted_before_is_tried_again_and_what_never_did_is_not(tmp_path: Path) -> None:
    (tmp_path / "cause").write_text(TRANSIENT)
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", SERVES_ONCE + FAILS)
    with container:
        assert container.exit_code() == 137
    assert container.output().count("INFO spawned") == 3
    assert "[supervisor] engine: signal SIGKILL in phase start; 3 exits within 600 s" in container.last_lines(3)


def test_what_an_engine_that_served_said_of_a_request_is_no_cause(tmp_path: Path) -> None:
    (tmp_path / "cause").write_text(HOPELESS)
    container = Container(tmp_path, engines="engine")
    container.program("engine", "open('ready/engine', 'w').close()\n" + FAILS)
    with container:
        assert container.exit_code() == 137
    assert container.last_lines(2)[0] == (
        "[supervisor] engine: signal SIGKILL; lost after it had been ready; restart policy is exit"
    )


@pytest.mark.parametrize(("number", "half"), [(one, SIGNALS[one]) for one in SIGNALS])
def test_a_signal_that_means_something_by_itself_is_explained(tmp_path: Path, number: int, half: str) -> None:
    container = Container(tmp_path, engines="engine")
    container.program(
        "engine",
        "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        + ends_with(f"os.kill(os.getpid(), {number:d})"),
    )
    with container:
        assert container.exit_code() == 128 + number
    assert f"in phase start, {half}; died before it was ready" in container.last_lines(2)[0]


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
