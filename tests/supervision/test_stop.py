"""The end that was asked for: at once, in order, exit code 0, whatever state the programs are in."""

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from supervision.supervisor import IMPATIENCE_SECONDS
from tests.supervision.programs import DEAF, ORDERLY, READY_THEN_SLEEP, SLEEP, ends_with
from tests.supervision.supervised import Container, is_alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_highest_priority_is_stopped_first_and_awaited(tmp_path: Path, number: signal.Signals) -> None:
    container = Container(tmp_path, engines="engine")
    container.program("engine", ORDERLY, priority=10)
    container.program("middleware", ORDERLY, priority=20)
    container.program("haproxy", ORDERLY, priority=30, stopsignal="USR1")
    with container:
        for name in ("engine", "middleware", "haproxy"):
            container.said(rf"^\[{name}\] up$")
        container.send(number)
        assert container.exit_code() == 0
    assert (tmp_path / "record").read_text().splitlines() == [
        "haproxy.py told SIGUSR1",
        "haproxy.py done",
        "middleware.py told SIGTERM",
        "middleware.py done",
        "engine.py told SIGTERM",
        "engine.py done",
    ]
    assert container.termination_log.read_text() == ""
    assert "the container exits" not in container.output()


def test_a_term_that_comes_before_supervisord_can_hear_it_is_not_lost(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("haproxy", SLEEP, stopwaitsecs=600)
    # Held across exec, as by the launcher: PID 1 without a handler would never hear of it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        with container:
            container.send(signal.SIGTERM)
            assert container.exit_code() == 0
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def test_children_hear_signals_although_they_were_held_at_the_start(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("helper", "import signal\nprint(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))\n" + SLEEP)
    with container:
        container.said(r"^\[helper\] \[\]$")


def test_dead_and_waiting_programs_do_not_hold_up_the_stop(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", READY_THEN_SLEEP, priority=10, stopwaitsecs=600)
    container.program("done", ends_with("sys.exit(0)"), priority=20, autorestart="false", stopwaitsecs=600)
    container.program("haproxy", ORDERLY, priority=30)
    with container:
        container.said(r"^\[engine\] serving$")
        container.said(r"^\[haproxy\] up$")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        container.said("restart in 1 s")
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0


def test_a_program_that_is_deaf_is_killed_after_its_time(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("deaf", DEAF, priority=20, stopwaitsecs=1)
    container.program("engine", ORDERLY, priority=10)
    with container:
        container.said(r"^\[deaf\] up$")
        container.said(r"^\[engine\] up$")
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
        container.said("stopped: deaf (.*SIGKILL)")
    assert (tmp_path / "record").read_text() == "engine.py told SIGTERM\nengine.py done\n"


def test_a_second_term_ends_at_once_and_a_quick_one_changes_nothing(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("deaf", DEAF, priority=20, stopwaitsecs=600)
    container.program("engine", ORDERLY, priority=10)
    with container:
        container.said(r"^\[deaf\] up$")
        container.said(r"^\[engine\] up$")
        for times in (1, 2):
            container.send(signal.SIGTERM)
            container.said("received SIGTERM", times)
        time.sleep(IMPATIENCE_SECONDS)
        assert is_alive(container.spawned("deaf"))
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
        container.said("asked to end a second time")
    assert not (tmp_path / "record").exists(), "the engine was not asked any more"


class HaproxyAdmin:
    """The admin socket of a haproxy: writes what it is told into the record of the programs."""

    def __init__(self, directory: Path) -> None:
        self._record = directory / "record"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / "haproxy.sock"))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            with self._listener.accept()[0] as client:
                command = client.recv(4096)
                if b"show stat" not in command:
                    with self._record.open("ab") as record:
                        record.write(command)
                client.sendall(b"\n")


@pytest.mark.parametrize("lame_duck_seconds", [1.5, 0])
def test_health_is_taken_away_first_and_a_lame_duck_stops_nothing(tmp_path: Path, lame_duck_seconds: float) -> None:
    """Without a lame duck, too: connections that last through the drain still ask for it."""
    HaproxyAdmin(tmp_path)
    container = Container(tmp_path, lame_duck_seconds=lame_duck_seconds, haproxy_socket=tmp_path / "haproxy.sock")
    container.program("haproxy", ORDERLY)
    with container:
        container.said(r"^\[haproxy\] up$")
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
    assert (tmp_path / "record").read_text().splitlines() == [
        "enable server lame_duck/flag",
        "haproxy.py told SIGTERM",
        "haproxy.py done",
    ]
    passed = container.seconds_of("stopped: haproxy") - container.seconds_of("received SIGTERM")
    assert passed > lame_duck_seconds - 0.5


def test_ctrl_c_has_no_lame_duck(tmp_path: Path) -> None:
    HaproxyAdmin(tmp_path)
    container = Container(tmp_path, lame_duck_seconds=600, haproxy_socket=tmp_path / "haproxy.sock")
    container.program("haproxy", ORDERLY)
    with container:
        container.said(r"^\[haproxy\] up$")
        container.send(signal.SIGINT)
        assert container.exit_code() == 0


# Hears of the stop, and goes on until it is told to end at once.
DRAINING = ORDERLY.replace("signal.signal(signal.SIGUSR1, stop)", "signal.signal(signal.SIGUSR1, signal.SIG_IGN)")


def test_at_the_end_of_the_drain_answers_are_ended_before_haproxy_is_stopped_hard(tmp_path: Path) -> None:
    container = Container(tmp_path, drain_seconds=0.5)
    goes_on = ORDERLY.replace("sys.exit()", "sys.exit() if number == signal.SIGTERM else None")
    container.program("middleware", goes_on, priority=20)
    container.program("haproxy", DRAINING, priority=30, stopsignal="USR1", stopwaitsecs=600)
    with container:
        for name in ("middleware", "haproxy"):
            container.said(rf"^\[{name}\] up$")
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
    assert [line for line in (tmp_path / "record").read_text().splitlines() if "told" in line] == [
        "middleware.py told SIGUSR1",
        "haproxy.py told SIGTERM",
        "middleware.py told SIGTERM",
    ]


def test_a_middleware_that_has_no_handler_yet_is_not_ended_by_the_word_that_the_drain_is_over(tmp_path: Path) -> None:
    container = Container(tmp_path, drain_seconds=0)
    container.program("middleware", f"print('up', flush=True)\n{SLEEP}", priority=20)
    container.program("haproxy", DRAINING, priority=30, stopsignal="USR1", stopwaitsecs=600)
    with container:
        for name in ("middleware", "haproxy"):
            container.said(rf"^\[{name}\] up$")
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
        container.said(r"stopped: middleware \(terminated by SIGTERM\)")


def test_the_end_for_a_dead_engines_sake_waits_for_no_drain(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", drain_seconds=3600)
    container.program("engine", READY_THEN_SLEEP, priority=10)
    container.program("haproxy", DRAINING, priority=30, stopsignal="USR1", stopwaitsecs=3600)
    with container:
        container.said(r"^\[engine\] serving$")
        container.said(r"^\[haproxy\] up$")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        assert container.exit_code() == 128 + signal.SIGKILL


def test_without_a_front_door_there_is_no_lame_duck(tmp_path: Path) -> None:
    container = Container(tmp_path, lame_duck_seconds=600, haproxy_socket=tmp_path / "haproxy.sock")
    container.program("haproxy", ORDERLY)
    with container:
        container.said(r"^\[haproxy\] up$")
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
