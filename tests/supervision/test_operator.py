"""supervisorctl as ever, and configurations that cannot be run."""

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.supervision.programs import ORDERLY, READY_THEN_SLEEP, SLEEP
from tests.supervision.supervised import Container


def test_supervisorctl_needs_no_options_in_the_run_directory(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine")
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said("serving")
        assert "RUNNING" in container.control("status", "engine")
        assert "serving" in container.control("tail", "engine")
        assert container.control("clear", "engine") == "engine: cleared\n"
        assert "serving" not in container.control("tail", "engine")
        container.control("shutdown")
        assert container.exit_code() == 0


def test_a_reload_starts_everything_anew(tmp_path: Path) -> None:
    """4.3.0 closes all file descriptors from 5 on in a reload; the hooks must survive it."""
    container = Container(tmp_path, engines="engine", crash_limit=1)
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said("serving")
        container.send(signal.SIGHUP)
        container.said("serving", times=2)
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0


@pytest.mark.parametrize(
    ("shim", "sentence"),
    [
        pytest.param({"crash_limit": "many"}, "[shim] crash_limit='many': accepted is a whole number", id="value"),
        pytest.param({"crash_limits": "3"}, "[shim] has no key 'crash_limits'; it has engines", id="key"),
        pytest.param({"engines": "sglnag"}, "[shim] engines names 'sglnag'; the programs are sglang", id="program"),
    ],
)
def test_a_section_that_cannot_be_understood_is_a_sentence_and_exit_2(
    tmp_path: Path, shim: dict[str, str], sentence: str
) -> None:
    container = Container(tmp_path, **shim)
    container.program("sglang", SLEEP)
    with container:
        assert container.exit_code() == 2
    assert sentence in container.errors()
    assert container.output() == ""


def test_logs_are_for_the_owner_and_programs_have_the_umask_they_name(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("helper", "open('made', 'w').close()\nprint('made', flush=True)\n" + SLEEP, umask="022")
    container.supervisord["umask"] = "077"
    with container:
        container.said(r"^\[helper\] made$")
        modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("helper.log", "supervisord.log", "made")}
    assert modes == {"helper.log": 0o600, "supervisord.log": 0o600, "made": 0o644}


def test_why_supervisord_itself_cannot_start_is_left_where_it_is_found(tmp_path: Path) -> None:
    shim_log, state_file = tmp_path / "shim.log", tmp_path / "state.json"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        container = Container(tmp_path, shim_log=shim_log, state_file=state_file)
        port = taken.getsockname()[1]
        container.program("helper", SLEEP, kind="fcgi-program", socket=f"tcp://127.0.0.1:{port}")
        with container:
            assert container.exit_code() == 2
    words = container.termination_log.read_text()
    assert words.startswith("[supervisor] supervisord cannot start: ")
    assert words.strip() in shim_log.read_text()
    assert json.loads(state_file.read_text())["ended"]["code"] == 2


@pytest.mark.parametrize("milliseconds", [0, 30, 60, 90, 120, 200])
def test_a_term_that_comes_while_supervisord_reloads_is_not_lost(tmp_path: Path, milliseconds: int) -> None:
    container = Container(tmp_path)
    container.program("helper", ORDERLY)
    with container:
        container.said(r"^\[helper\] up$")
        container.send(signal.SIGHUP)
        container.said("stopped: helper")
        time.sleep(milliseconds / 1000)
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
