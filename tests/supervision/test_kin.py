"""An engine whose scheduler has died: SGLang would go on for seconds with a /health of 200, and requests that hang."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

from tests.supervision.supervised import Container, eventually, is_alive

# As SGLang's: processes with titles of their own, under a server that does not mind.
FAMILY = """
import pathlib, subprocess, sys, time
children = [subprocess.Popen([title, "600"], executable="/bin/sleep") for title in sys.argv[1].split(",")]
print("pids", *(child.pid for child in children), flush=True)
pathlib.Path("ready/engine").touch()
time.sleep(600)
"""


def family(folder: Path, titles: str, *words: str, restart: str = "exit") -> Container:
    container = Container(folder, engines="engine", engine_restart=restart)
    (folder / "family.py").write_text(FAMILY)
    command = " ".join([sys.executable, "-I", "-S", str(folder / "family.py"), titles, *words])
    container.program("engine", "/", command=command)
    return container


def pids(container: Container, times: int = 1) -> list[int]:
    found = [int(pid) for pid in container.said(r"^\[engine\] pids ([\d ]+)$", times)[1].split()]
    eventually((container.ready / "engine").exists, "ready")
    return found


def settled(container: Container) -> None:
    """supervisord's loop has turned since the engine was ready: whom it watches it watches now."""
    for _ in range(2):
        container.control("status")
    eventually(lambda: container.control("pid").strip() == str(container.pid), "supervisord to answer")


def test_the_engine_goes_with_its_scheduler_and_the_last_words_name_it(tmp_path: Path) -> None:
    container = family(tmp_path, "sglang::scheduler_TP0,sglang::detokenizer")
    with container:
        scheduler, detokenizer = pids(container)
        settled(container)
        os.kill(scheduler, signal.SIGKILL)
        assert container.exit_code() == 128 + signal.SIGKILL
        assert not is_alive(detokenizer)
    assert f"its process sglang::scheduler_TP0 (pid {scheduler}) has died; lost after" in container.last_lines(2)[0]


def test_in_place_the_next_life_has_a_family_of_its_own(tmp_path: Path) -> None:
    container = family(tmp_path, "sglang::scheduler", restart="in-place")
    with container:
        for life in (1, 2):
            (scheduler,) = pids(container, life)
            settled(container)
            os.kill(scheduler, signal.SIGKILL)
            lost = container.ready / "engine.lost"
            told = eventually(lambda lost=lost: lost.exists() and lost.read_text(), "word for the middleware")  # type: ignore[misc]
            assert told == f"its process sglang::scheduler (pid {scheduler}) has died\n"
            container.said(rf"sglang::scheduler \(pid {scheduler}\) has died; restart in {life} s")
            eventually(lambda lost=lost: not lost.exists(), "the next life")  # type: ignore[misc]
        pids(container, 3)


def test_who_is_not_vital_may_die(tmp_path: Path) -> None:
    for titles, words in (("python,compiler", ()), ("sglang::scheduler", ("--elastic-ep-backend", "mooncake"))):
        folder = tmp_path / titles[:6]
        folder.mkdir()
        container = family(folder, titles, *words)
        with container:
            children = pids(container)
            settled(container)
            os.kill(children[0], signal.SIGKILL)
            eventually(lambda child=children[0]: not is_alive(child), "its end")  # type: ignore[misc]
            settled(container)
            assert is_alive(container.spawned("engine"))
        assert "has died" not in container.output()


def test_a_reload_leaves_no_descriptor_in_the_poll(tmp_path: Path) -> None:
    container = family(tmp_path, "sglang::scheduler")
    with container:
        pids(container)
        settled(container)
        container.send(signal.SIGHUP)
        pids(container, 2)
        settled(container)
    assert re.search("unexpected|Traceback", container.output() + container.errors()) is None
