"""The state file of a real container: what stands in it, that it is private and whole, and that nothing in its way
does harm.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from supervision.output import ContainerOutput
from supervision.progress import Progress
from supervision.settings import Settings
from supervision.transcript import Transcript
from tests.supervision.programs import ORDERLY, READY_THEN_SLEEP, ends_with
from tests.supervision.supervised import Container, eventually

LOADS = """
import pathlib, time
for line, stop in (("Load weight begin. avail mem=17.50 GB", 0), ("Capturing batches (bs=1", 1)):
    print(line, end="" if stop else "\\n", flush=True)
    while not pathlib.Path(f"go-{stop}").exists():
        time.sleep(0.01)
pathlib.Path("ready/engine").touch()
time.sleep(600)
"""


def read(file: Path) -> dict[str, Any]:
    found = json.loads(file.read_text())
    assert isinstance(found, dict)
    return found


def phase(file: Path, name: str) -> bool:
    return file.exists() and read(file)["phase"] == name


def test_it_follows_an_engine_from_start_to_end(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    container = Container(tmp_path, engines="engine", state_file=file)
    container.program("engine", LOADS)
    container.program("haproxy", ORDERLY, priority=30)
    with container:
        eventually(lambda: phase(file, "load"), "load")
        (tmp_path / "go-0").touch()
        eventually(lambda: phase(file, "graph capture"), "graph capture, of a bar without a line end")
        (tmp_path / "go-1").touch()
        eventually(lambda: phase(file, "ready"), "ready")
        assert file.stat().st_mode & 0o777 == 0o600
        found = read(file)
        assert found["version"] == 1
        assert found["started"] <= found["since"] <= found["updated"]
        assert found["ended"] is None
        assert found["programs"] == {name: {"deaths": [], "restarts": 0} for name in ("engine", "haproxy")}
        assert {"peak_memory_bytes", "memory_limit_bytes", "oom_kills"} <= found.keys()
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
    ended = read(file)
    assert ended["phase"] == "stopping"
    assert (ended["ended"]["code"], ended["ended"]["why"]) == (0, "it was asked to end")
    assert not list(tmp_path.glob("state.json.*"))


def test_it_is_refreshed_though_nothing_changes(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    container = Container(tmp_path, engines="engine", state_file=file)
    container.program("engine", READY_THEN_SLEEP)
    with container:
        eventually(lambda: phase(file, "ready"), "ready")
        before = read(file)
        eventually(lambda: read(file)["updated"] > before["updated"], "a later one")
        assert read(file)["since"] == before["since"]


def test_deaths_and_restarts_stand_in_it_and_what_an_operator_does_is_no_death(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    container = Container(tmp_path, engines="engine", engine_restart="in-place", state_file=file)
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said(r"^\[engine\] serving$")
        assert "engine: started" in container.control("restart", "engine")
        container.said(r"^\[engine\] serving$", times=2)
        for life in (2, 3, 4):
            container.said(r"^\[engine\] serving$", times=life)
            os.kill(container.spawned("engine", times=life), signal.SIGKILL)
        assert container.exit_code() == 137
    found = read(file)
    deaths = found["programs"]["engine"]["deaths"]
    assert [(death["how"], death["phase"]) for death in deaths] == [("signal SIGKILL", "ready")] * 3
    assert [death["why"] for death in deaths] == ["restart in 1 s", "restart in 2 s", "3 exits within 600 s"]
    assert found["programs"]["engine"]["restarts"] == 3
    assert found["ended"]["code"] == 137
    assert found["ended"]["why"] == "engine: signal SIGKILL; 3 exits within 600 s"


def test_a_start_that_failed_stands_in_it_with_its_phase_and_its_cause(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    container = Container(tmp_path, engines="engine", state_file=file)
    said = "print('Load weight begin.\\nHIP out of memory', flush=True)"
    container.program("engine", ends_with(f"{said}\nsys.exit(1)"))
    with container:
        assert container.exit_code() == 1
    (death,) = read(file)["programs"]["engine"]["deaths"]
    assert (death["how"], death["phase"]) == ("exit code 1", "load")
    assert death["why"].startswith("died before it was ready; out of GPU memory: ")
    assert read(file)["ended"]["why"].startswith(
        "engine: exit code 1 in phase load; died before it was ready; out of GPU"
    )


def test_no_more_than_ten_deaths_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    container = Container(tmp_path, state_file=file, helper_crash_limit=12)
    container.program("helper", ends_with("sys.exit(3)"))
    with container:
        assert container.exit_code() == 3
    assert len(read(file)["programs"]["helper"]["deaths"]) == 10


def test_a_reload_forgets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    container = Container(tmp_path, engines="engine", state_file=file)
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said("serving")
        eventually(lambda: phase(file, "ready"), "ready")
        before = read(file)
        container.send(signal.SIGHUP)
        container.said("serving", times=2)
        eventually(lambda: read(file)["programs"]["engine"]["restarts"] == 1, "the restart")
        assert read(file)["started"] == before["started"]


@pytest.mark.parametrize("obstacle", ["directory", "link", "fifo", "missing folder", "leftover"])
def test_what_lies_in_its_way_does_no_harm(tmp_path: Path, obstacle: str) -> None:
    file, elsewhere = tmp_path / "state.json", tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    match obstacle:
        case "directory":
            file.mkdir()
        case "link":
            file.symlink_to(elsewhere)
            (tmp_path / "state.json.new").symlink_to(elsewhere)
        case "fifo":
            os.mkfifo(file)
            os.mkfifo(tmp_path / "state.json.new")
        case "missing folder":
            file = tmp_path / "none/state.json"
        case _:
            (tmp_path / "state.json.new").write_text("half of")
    container = Container(tmp_path, engines="engine", state_file=file)
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said("serving")
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
    assert elsewhere.read_text() == "untouched"
    if obstacle in ("link", "fifo", "leftover"):
        assert file.is_file()
        assert not file.is_symlink()
        assert read(file)["ended"]["code"] == 0
    assert container.errors() == ""


def test_a_disk_that_takes_no_more_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """By a limit on the size of files, in a process of its own."""
    file = tmp_path / "state.json"
    file.write_text("old")
    limited = (
        "import pathlib, resource, signal, sys\n"
        "from supervision.state import replace\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try:\n    replace(pathlib.Path(sys.argv[1]), b'x' * 100)\nexcept OSError:\n    sys.exit(3)\n"
    )
    assert subprocess.run([sys.executable, "-c", limited, str(file)], check=False).returncode == 3
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_how_far_an_engine_is_is_heard_and_not_read_from_its_log() -> None:
    fd = os.memfd_create("output")
    output = ContainerOutput(fd)
    transcript = Transcript(output)
    progress = Progress(transcript)
    progress.born("engine")
    channel = transcript.channel("engine")
    assert progress.look("engine") == "start"
    channel.feed(b"Load weight begin.\n")
    assert progress.look("engine") == "load"
    channel.feed(b"x" * 100 + b"\n" + b"noise\n" * 100_000)
    assert progress.look("engine") == "load", "though the line is long gone"
    channel.feed(b"Application startup complete.\nThe server is fired up and ready to roll!\n")
    assert progress.look("engine") == "warm-up"
    transcript.begin_life("engine")
    progress.born("engine")
    assert progress.look("engine") == "start"
    assert progress.of_all(Settings(), []) == "ready"
    assert output.flush(30)  # its thread would write into whatever gets this number next
    os.close(fd)
