"""The middleware's word that an engine is wedged: the engine is ended, once, and its death says why."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from middleware import settings as of_middleware
from supervision.wedged import SUFFIX
from tests.supervision.programs import READY_THEN_SLEEP
from tests.supervision.supervised import Container, eventually, is_alive

WORD = "wedged: no token for 600 s while 3 requests ran or waited"
# Deaf, as a process in the hands of a driver, with a child in its group.
WEDGED = """
import pathlib, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["/bin/sleep", "600"])
pathlib.Path("ready/engine").touch()
print("child", child.pid, flush=True)
time.sleep(600)
"""


def life(container: Container) -> int:
    return (container.ready / "engine").stat().st_mtime_ns


def leave(container: Container, text: str = f"{WORD}\n", *, about: int | None = None) -> Path:
    word = container.ready / f"engine{SUFFIX}"
    fresh = container.ready / "fresh"
    fresh.write_text(f"{life(container) if about is None else about}\n{text}")
    fresh.replace(word)
    return word


def test_the_middleware_leaves_its_word_where_supervision_looks() -> None:
    settings = of_middleware.Settings(upstream_host="h", upstream_port=1, ready_file=Path("/run/ready/engine"))
    assert settings.stalled_file == Path(f"/run/ready/engine{SUFFIX}")


def test_a_wedged_engine_and_its_children_are_killed_and_the_last_words_say_why(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", WEDGED)
    with container:
        child = int(container.said(r"^\[engine\] child (\d+)$")[1])
        word = leave(container)
        assert container.exit_code() == 128 + signal.SIGKILL
        assert not is_alive(child)
        assert not word.exists()
    assert f"engine: {WORD}; its state is saved, then it is killed" in container.output()
    assert container.last_lines(2)[0] == (
        f"[supervisor] engine: signal SIGKILL; {WORD}; lost after it had been ready; restart policy is exit"
    )
    assert WORD in container.termination_log.read_text()


def test_in_place_the_next_life_is_not_killed_for_what_was_said_of_the_last(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said(r"^\[engine\] serving$")
        leave(container)
        container.said(rf"engine: signal SIGKILL; {WORD}; restart in 1 s$")
        container.said(r"^\[engine\] serving$", times=2)
        os.kill(container.spawned("engine", times=2), signal.SIGKILL)
        container.said(r"engine: signal SIGKILL; restart in 2 s$")


def test_the_word_about_an_earlier_container_is_thrown_away_though_its_ready_file_is_there_too(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", READY_THEN_SLEEP.replace('pathlib.Path("ready/engine").touch()', ""))
    (container.ready / "engine").touch()
    word = leave(container)
    with container:
        container.said(r"^\[engine\] serving$")
        assert not word.exists()
        assert is_alive(container.spawned("engine"))
    assert "it is killed" not in container.output()


def test_the_word_about_an_earlier_life_is_thrown_away_however_new_it_is(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said(r"^\[engine\] serving$")
        first = life(container)
        os.kill(container.spawned("engine"), signal.SIGKILL)
        container.said(r"^\[engine\] serving$", times=2)
        word = leave(container, about=first)
        eventually(lambda: not word.exists(), "the stale word to be gone")
        assert is_alive(container.spawned("engine", times=2))
    assert "it is killed" not in container.output()


def test_a_clock_that_was_set_back_loses_no_word(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said(r"^\[engine\] serving$")
        os.utime(container.ready / "engine", (2, 2))
        fresh = tmp_path / "fresh"
        fresh.write_text(f"{life(container)}\n{WORD}\n")
        os.utime(fresh, (1, 1))
        fresh.replace(container.ready / f"engine{SUFFIX}")
        assert container.exit_code() == 128 + signal.SIGKILL
    assert f"engine: {WORD}; its state is saved, then it is killed" in container.output()


def test_however_often_the_word_is_repeated_it_is_killed_once(tmp_path: Path) -> None:
    """While its state is being saved, and while it is dying."""
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", WEDGED)
    with container:
        container.said(r"^\[engine\] child (\d+)$")
        about = life(container)
        for _ in range(3):
            word = leave(container, about=about)
            eventually(lambda word=word: not word.exists(), "the word to be taken")  # type: ignore[misc]
        container.said(r"^\[engine\] child (\d+)$", times=2)
    assert container.output().count("its state is saved, then it is killed") == 1
    assert container.output().count("spawned: 'engine'") == 2


def test_a_word_of_garbage_still_ends_it_and_makes_one_line_at_most(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said(r"^\[engine\] serving$")
        leave(container, "\x1b[31m\r" + "x" * 100_000 + "\nsecond line")
        assert container.exit_code() == 128 + signal.SIGKILL
    assert "\x1b" not in container.output()
    assert "second line" not in container.output()
    assert max(map(len, container.output().splitlines())) < 1000


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="exit")
    container.program("engine", READY_THEN_SLEEP)
    with container:
        container.said(r"^\[engine\] serving$")
        (container.ready / f"engine{SUFFIX}").symlink_to("/etc/hostname")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        assert container.exit_code() == 128 + signal.SIGKILL
    assert "it is killed" not in container.output()


def test_each_life_of_an_engine_begins_with_a_line_in_its_log_file_alone(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine", engine_restart="in-place")
    container.program("engine", READY_THEN_SLEEP)
    container.program("helper", "print('helping', flush=True)\nimport time\ntime.sleep(600)\n")
    with container:
        container.said(r"^\[engine\] serving$")
        container.said(r"^\[helper\] helping$")
        os.kill(container.spawned("engine"), signal.SIGKILL)
        container.said(r"^\[engine\] serving$", times=2)
    lines = (tmp_path / "engine.log").read_text().splitlines()
    assert [line.partition("] ")[2] or line for line in lines] == ["supervisor: started", "serving"] * 2
    assert (tmp_path / "helper.log").read_text() == "helping\n"
    assert "supervisor: started" not in container.output()
