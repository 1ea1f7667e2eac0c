"""An engine's folder of metrics is empty when it starts, and nothing else is touched."""

import os
import signal
import threading
from pathlib import Path

import pytest

from supervision import leftovers
from tests.supervision.supervised import Container, eventually

COUNTS = """
import os, pathlib, time
print("found", sorted(os.listdir("prometheus/engine")), flush=True)
pathlib.Path(f"prometheus/engine/counter_{os.getpid()}.db").touch()
pathlib.Path("ready/engine").touch()
print("serving", flush=True)
time.sleep(600)
"""
DEAF = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{COUNTS}"


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "prometheus/engine"
    folder.mkdir(parents=True)
    return folder


def test_neither_a_new_container_nor_a_restart_in_place_finds_an_earlier_lifes_files(tmp_path: Path) -> None:
    (folder_of(tmp_path) / "counter_7.db").touch()
    container = Container(tmp_path, engines="engine", engine_restart="in-place", prometheus_dir=tmp_path / "prometheus")
    container.program("engine", COUNTS)
    with container:
        container.said(r"^\[engine\] serving$")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        container.said(r"^\[engine\] serving$", times=2)
        for life in (1, 2):
            container.said(r"^\[engine\] found \[\]$", times=life)


def test_a_start_that_starts_nothing_leaves_the_files_of_the_living(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    container = Container(tmp_path, engines="engine", prometheus_dir=folder.parent)
    container.program("engine", DEAF, stopwaitsecs=5)
    with container:
        container.said(r"^\[engine\] serving$")
        living = list(folder.iterdir())
        stopping = threading.Thread(target=container.control, args=("stop", "engine"))
        stopping.start()
        eventually(lambda: "STOPPING" in container.control("status", "engine"), "the stop")
        container.control("start", "engine")
        container.said("process 'engine' already running")
        assert len(living) == 1
        assert living == list(folder.iterdir())
        stopping.join()


def test_a_folder_that_is_missing_is_said_and_stops_no_start(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", prometheus_dir=tmp_path / "prometheus")
    container.program("engine", "print('up', flush=True)\nimport time\ntime.sleep(600)\n")
    with container:
        container.said(r"^\[engine\] up$")
        container.said(r"WARN not cleared: .*prometheus/engine'$")


def test_only_the_files_of_samples_go_and_no_link_is_followed(tmp_path: Path) -> None:
    folder, elsewhere, said = folder_of(tmp_path), tmp_path / "elsewhere", list[str]()
    (elsewhere / "below.db").mkdir(parents=True)
    (elsewhere / "counter_1.db").touch()
    for name in ("counter_1.db", "gauge_all_2.db", "notes.txt"):
        (folder / name).touch()
    (folder / "link.db").symlink_to(elsewhere / "counter_1.db")
    (folder / "folder.db").mkdir()
    (folder / "tmpx").mkdir()
    (folder / "tmpx/counter_3.db").touch()
    leftovers.clear(folder, said.append)
    assert sorted(one.name for one in folder.rglob("*")) == ["counter_3.db", "folder.db", "notes.txt", "tmpx"]
    assert len(said) == 1, said
    assert (elsewhere / "counter_1.db").exists()


@pytest.mark.parametrize("kind", ["missing", "link", "file"])
def test_what_is_no_folder_is_left_alone(kind: str, tmp_path: Path) -> None:
    folder, said = tmp_path / "folder", list[str]()
    target = tmp_path / "target"
    target.mkdir()
    (target / "counter_1.db").touch()
    if kind == "link":
        folder.symlink_to(target)
    elif kind == "file":
        folder.touch()
    leftovers.clear(folder, said.append)
    assert len(said) == 1
    assert (target / "counter_1.db").exists()
