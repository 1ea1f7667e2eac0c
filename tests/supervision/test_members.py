"""Several models: started and stopped by the switcher alone, and none of their deaths is the container's end."""

import json
import os
import signal
import xmlrpc.client
from pathlib import Path
from typing import Any

import pytest

from operate.sockets import Transport
from tests.supervision.programs import DEAF, ORDERLY, READY_THEN_SLEEP, SLEEP, ends_with
from tests.supervision.supervised import Container, eventually

MEMBER: dict[str, Any] = {"autostart": "false", "autorestart": "false", "startsecs": 0, "startretries": 0}
NAMES = ("sglang-a", "sglang-b")


def members(tmp_path: Path, source: str = SLEEP, **options: Any) -> Container:
    container = Container(tmp_path, engines=",".join(NAMES), members=",".join(NAMES), shim_log=tmp_path / "shim.log")
    for name in NAMES:
        container.program(name, source, **{**MEMBER, "priority": 10, **options})
    container.program("middleware", ORDERLY, priority=20)
    return container


def read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def order(container: Container, method: str, *words: object) -> Any:
    transport = Transport(container.directory / "sock", 10.0)
    server = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
    try:
        return getattr(server.supervisor, method)(*words)
    finally:
        transport.close()


def state(container: Container, name: str) -> str:
    found = order(container, "getProcessInfo", name)
    assert isinstance(found, dict)
    return str(found["statename"])


def test_members_are_stopped_until_they_are_started_by_name(tmp_path: Path) -> None:
    with members(tmp_path) as container:
        container.said(r"^\[middleware\] up$")
        assert [state(container, name) for name in NAMES] == ["STOPPED", "STOPPED"]
        assert order(container, "startProcess", "sglang-b") is True
        assert [state(container, name) for name in NAMES] == ["STOPPED", "RUNNING"]
        assert order(container, "stopProcess", "sglang-b") is True
        assert state(container, "sglang-b") == "STOPPED"


def test_a_members_death_neither_ends_the_container_nor_starts_it_again(tmp_path: Path) -> None:
    with members(tmp_path) as container:
        container.said(r"^\[middleware\] up$")
        for life in (1, 2, 3, 4):  # more than the budget of an only engine
            order(container, "startProcess", "sglang-a")
            os.kill(container.spawned("sglang-a", times=life), signal.SIGKILL)
            container.said(
                r"sglang-a: signal SIGKILL in phase start.*; it is started again when it is asked for$", life
            )
            assert eventually(lambda: state(container, "sglang-a") == "EXITED", "its end")
        assert order(container, "startProcess", "sglang-b") is True
        assert state(container, "sglang-a") == "EXITED"
        assert container.output().count("INFO spawned: 'sglang-a'") == 4


def test_the_last_words_of_a_member_are_kept_and_its_death_is_counted(tmp_path: Path) -> None:
    container = Container(
        tmp_path,
        engines="sglang-a",
        members="sglang-a",
        shim_log=tmp_path / "shim.log",
        state_file=tmp_path / "state.json",
    )
    container.program("sglang-a", ends_with("sys.exit(37)", lines=3), **MEMBER)
    container.program("middleware", ORDERLY)
    with container:
        container.said(r"^\[middleware\] up$")
        order(container, "startProcess", "sglang-a")
        container.said(r"sglang-a: exit code 37")
        words = eventually(lambda: read(tmp_path / "shim.log"), "the words")
    assert "[sglang-a] line 2" in words
    assert "sglang-a: exit code 37 in phase start; it is started again when it is asked for" in words
    assert "the container exits" not in words
    deaths = json.loads((tmp_path / "state.json").read_text())["programs"]["sglang-a"]["deaths"]
    assert [death["how"] for death in deaths] == ["exit code 37"]


def test_a_member_whose_command_is_missing_is_refused_to_who_asks_and_ends_nothing(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="sglang-a", members="sglang-a")
    container.program("sglang-a", "/no/such/engine --port 1", **MEMBER)
    container.program("middleware", ORDERLY)
    with container:
        container.said(r"^\[middleware\] up$")
        with pytest.raises(xmlrpc.client.Fault, match="NO_FILE"):
            order(container, "startProcess", "sglang-a")
        container.said(r"^\[middleware\] up$")
        assert state(container, "middleware") == "RUNNING"


def test_a_ready_member_that_dies_takes_its_ready_file_with_it(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", members="engine")
    container.program("engine", READY_THEN_SLEEP, **MEMBER)
    container.program("middleware", ORDERLY)
    with container:
        container.said(r"^\[middleware\] up$")
        order(container, "startProcess", "engine")
        container.said(r"^\[engine\] serving$")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        container.said(r"engine: signal SIGKILL; it is started again when it is asked for$")
        assert not (container.ready / "engine").exists()


def test_members_are_stopped_behind_the_middleware_and_all_at_once(tmp_path: Path) -> None:
    """Two that hear nothing take the seconds of one."""
    with members(tmp_path, DEAF, stopwaitsecs=3) as container:
        container.said(r"^\[middleware\] up$")
        for name in NAMES:
            order(container, "startProcess", name)
            container.said(rf"^\[{name}\] up$")
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
    killed = [container.seconds_of(f"killing '{name}'") for name in NAMES]
    stopped = container.seconds_of("stopped: middleware")
    assert stopped <= min(killed)
    assert abs(killed[0] - killed[1]) < 3


def test_a_member_that_is_started_again_has_the_log_size_that_the_file_says_by_then(tmp_path: Path) -> None:
    lines = "".join(f"print('line {number} ' + 'x' * 500, flush=True)\n" for number in range(8))
    with members(tmp_path, f"{lines}print('up', flush=True)\n{SLEEP}", stdout_logfile_maxbytes="1MB") as container:
        container.said(r"^\[middleware\] up$")
        order(container, "startProcess", "sglang-a")
        container.said(r"^\[sglang-a\] up$")
        conf = tmp_path / "supervisord.conf"
        conf.write_text(conf.read_text().replace("stdout_logfile_maxbytes=1MB", "stdout_logfile_maxbytes=1KB"))
        assert order(container, "reloadConfig") == [[[], list(NAMES), []]]
        assert not (tmp_path / "sglang-a.log.1").exists()
        order(container, "stopProcess", "sglang-a")
        order(container, "startProcess", "sglang-a")
        container.said(r"^\[sglang-a\] up$", 2)
    assert 0 < (tmp_path / "sglang-a.log").stat().st_size <= 1024
    assert (tmp_path / "sglang-a.log.1").exists()
