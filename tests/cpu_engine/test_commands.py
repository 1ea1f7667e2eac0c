"""Commands of the installation, run for real: their log, their failures, their lock."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cpu_engine.commands import Commands, InstallError, only_one, sentence_for
from cpu_engine.places import REPOSITORY


def run(tmp_path: Path, code: str) -> None:
    with only_one(tmp_path / "lock", lambda: None) as lock:
        Commands(tmp_path / "log", tmp_path, lock, lambda: None).run([sys.executable, "-c", code], what="trying")


def test_output_goes_to_the_log_and_nowhere_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "print('WARNING: nobody needs this')")
    assert "WARNING: nobody needs this" in (tmp_path / "log").read_text()
    assert capfd.readouterr() == ("", "")


def test_a_failure_brings_the_last_15_lines_of_its_own_output(tmp_path: Path) -> None:
    run(tmp_path, "print('an earlier command')")
    with pytest.raises(InstallError, match="trying failed") as caught:
        run(tmp_path, "for n in range(40): print(n)\nraise SystemExit(3)")
    assert list(caught.value.details) == [str(n) for n in range(25, 40)]


@pytest.mark.parametrize(
    ("output", "words"),
    [
        pytest.param("OSError: [Errno 28] No space left on device", "disk is full", id="disk"),
        pytest.param(
            "Failed to establish a new connection: [Errno 111]\nERROR: No matching distribution found for torch",
            "cannot reach its package index",
            id="no network, though pip ends with another error",
        ),
        pytest.param("ERROR: No matching distribution found for sglang", "no build of a package", id="wrong machine"),
        pytest.param("[SSL: CERTIFICATE_VERIFY_FAILED]", "PIP_CERT", id="certificate"),
    ],
)
def test_a_known_failure_is_put_into_a_sentence(output: str, words: str) -> None:
    assert words in (sentence_for(output) or "")


def test_an_unknown_failure_has_no_sentence_of_its_own() -> None:
    assert sentence_for("something else") is None


def test_a_second_installation_says_that_it_waits(tmp_path: Path) -> None:
    waited: list[bool] = []
    with only_one(tmp_path / "lock", lambda: None):
        script = (
            "from pathlib import Path; from cpu_engine.commands import only_one\n"
            f"with only_one(Path({str(tmp_path / 'lock')!r}), lambda: print('waits', flush=True)): print('goes on')"
        )
        second = subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        waited.append(second.stdout.readline() == "waits\n")
    output, _ = second.communicate(timeout=20)
    assert waited == [True]
    assert output == "goes on\n"


def test_a_command_that_outlives_its_killed_installer_keeps_the_lock(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from cpu_engine.commands import Commands, only_one
with only_one(Path({str(tmp_path / "lock")!r}), lambda: None) as lock:
    Commands(Path({str(tmp_path / "log")!r}), Path(), lock, lambda: None).run(
        ["sh", "-c", "echo $$ > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/pid; exec sleep 60"], what="sleeping"
    )
"""
    installer = subprocess.Popen([sys.executable, "-c", script], cwd=REPOSITORY)
    pid_file = tmp_path / "pid"
    deadline = time.monotonic() + 20
    while not pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    pid = int(pid_file.read_text())
    installer.kill()
    installer.wait()
    try:
        with (tmp_path / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.kill(pid, signal.SIGKILL)
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
