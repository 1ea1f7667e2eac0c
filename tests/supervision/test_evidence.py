"""What is saved of an engine before it is killed: enough to see where it hangs, no more than its name and frames."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from supervision import evidence, stacks
from tests.supervision.programs import DEAF
from tests.supervision.supervised import Container, eventually
from tests.supervision.test_wedged import WORD, leave

LOADS = '{"loads": [{"num_running_reqs": 3}]}'
# As SGLang: a scheduler, with a faulthandler, under a server without one.
HANGS = """
import faulthandler, os, pathlib, time
if os.fork():
    pathlib.Path("ready/engine").touch()
    time.sleep(600)
faulthandler.enable()
def waits_for_a_collective(prompt):
    print("hangs", flush=True)
    time.sleep(600)
waits_for_a_collective("a secret prompt")
"""


class Loads(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(LOADS.encode() if self.path == "/v1/loads" else b"?")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Loads) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def sleeper() -> Iterator[int]:
    source = "import faulthandler, os, time\nif os.fork() == 0:\n    faulthandler.enable()\ntime.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", source, "--password", "geheim"], start_new_session=True)
    eventually(lambda: len(stacks.group(process.pid)) == 2, "its child")
    yield process.pid
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def gathered(pid: int, command: str, why: str = "hangs") -> tuple[str, list[int]]:
    pieces = list(evidence.gather("engine", pid, command, why))
    return "\n".join(piece.text for piece in pieces), [piece.blind for piece in pieces if piece.blind]


def test_every_process_of_the_group_is_seen_with_its_memory_and_loads_and_no_argument_of_it(
    sleeper: int, port: int
) -> None:
    found, _ = gathered(sleeper, f"python -m sglang --port {port}", "wedged: no token for 600 s")
    for pid in stacks.group(sleeper):
        assert f"process {pid} (python" in found
    assert "VmRSS: " in found
    assert LOADS in found
    assert "engine (pid" in found.splitlines()[0]
    assert "wedged: no token for 600 s" in found.splitlines()[0]
    assert "geheim" not in found


def test_an_engine_that_does_not_answer_and_whose_port_is_not_known_are_said_to_be_so(sleeper: int) -> None:
    assert "no answer: " in gathered(sleeper, "x --port 1")[0]
    assert "its port is not known" in gathered(sleeper, "x")[0]


@pytest.fixture
def py_spy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that is found on PATH: beside this Python there is none."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = tmp_path / "py-spy"
    path.touch(0o700)
    return path


def test_stacks_are_py_spys_where_it_is_there(py_spy: Path, sleeper: int) -> None:
    py_spy.write_text('#!/bin/sh\necho "Thread $3 (idle): \\"MainThread\\""\n')
    found, blind = gathered(sleeper, "python -m sglang")
    assert f'Thread {sleeper} (idle): "MainThread"' in found
    assert blind == []


def test_a_py_spy_that_may_not_look_or_hangs_leaves_the_process_to_its_faulthandler(
    py_spy: Path, sleeper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "PY_SPY_SECONDS", 0.2)
    for script in ("echo Permission Denied; exit 1", "exec sleep 60"):
        py_spy.write_text(f"#!/bin/sh\n{script}\n")
        _, (blind,) = gathered(sleeper, "python -m sglang")
        assert blind in stacks.group(sleeper)
        assert blind != sleeper, "who has no faulthandler is not sent SIGABRT: it would die without a word"


def test_a_wedged_engine_tells_its_stacks_and_its_state_is_saved_for_us_alone(tmp_path: Path) -> None:
    """Without py-spy here: by the faulthandler, in the engine's own log."""
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", HANGS)
    with container:
        container.said(r"^\[engine\] hangs$")
        leave(container)
        assert container.exit_code() == 128 + signal.SIGKILL
    saved = tmp_path / "evidence-engine.txt"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert WORD in saved.read_text()
    assert "container memory: " in saved.read_text()
    assert "[evidence] --- SGLang's loads" in container.output()
    assert "waits_for_a_collective" in container.output()
    assert "a secret prompt" not in container.output() + saved.read_text()
    assert f"{WORD}; lost after it had been ready" in container.last_lines(2)[0]


def test_an_engine_that_outlasts_its_stop_leaves_where_it_was(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine")
    container.program("engine", DEAF, stopwaitsecs=1)
    with container:
        container.said(r"^\[engine\] up$")
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
    assert "engine outlasted its stop and is killed" in container.output()
    assert "still there 1 s after it was asked to end" in (tmp_path / "evidence-engine.txt").read_text()


def test_the_one_before_is_kept_a_link_is_not_followed_and_a_place_that_cannot_be_written_is_no_fault(
    tmp_path: Path,
) -> None:
    aim = tmp_path / "aim"
    aim.write_text("mine")
    (tmp_path / "evidence-e.txt").symlink_to(aim)
    for text in ("first", "second"):
        file = evidence.File(tmp_path, "e")
        file.add(text)
        file.add("more")
        assert file.path == tmp_path / "evidence-e.txt"
    assert (tmp_path / "evidence-e.txt").read_text() == "second\nmore\n"
    assert (tmp_path / "evidence-e.txt.1").read_text() == "first\nmore\n"
    assert aim.read_text() == "mine"
    nowhere = evidence.File(tmp_path / "none", "e")
    nowhere.add("x")
    assert nowhere.path is None


def test_many_processes_whose_py_spy_hangs_take_no_more_than_the_time_there_is_and_what_is_cheap_comes_first(
    py_spy: Path, sleeper: int
) -> None:
    py_spy.write_text("#!/bin/sh\nexec sleep 60\n")
    pieces = list(evidence.gather("engine", sleeper, "python -m sglang", "hangs", seconds=0.5))
    assert "VmRSS: " in pieces[0].text
    assert "no time was left for py-spy" in pieces[-1].text
