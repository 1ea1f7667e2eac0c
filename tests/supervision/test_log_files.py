"""The logs through the real supervisord: all lines, one owner, and disks that are full."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.supervision.programs import SLEEP
from tests.supervision.supervised import Container, eventually

LINES = 200_000
ENDLESS = 700_000  # bytes
# A third at 10,000 lines a second, the rest in bursts; written in pieces that end anywhere.
TALKATIVE = f"""
import os, time
def line(kind, number):
    long = "y" * 70_000 if number % 50_000 == 4_321 else "x" * (number % 150)
    return "%s %06d %s\\n" % (kind, number, long)
def say(fd, text):
    data = text.encode()
    while data:
        data = data[os.write(fd, data[:7001]) :]
number = 0
while number < {LINES}:
    is_slow = number < {LINES // 3}
    block = range(number, min({LINES}, number + (100 if is_slow else 5_000)))
    say(1, "".join(line("out", n) for n in block))
    say(2, "".join(line("err", n) for n in block if n % 10 == 0))
    number = block.stop
    time.sleep(0.01 if is_slow else 0.05)
say(1, "z" * {ENDLESS})
"""
# On a disk of 256 KB, half of which is taken.
FILLING = """
import time
for number in range(8000):
    print("line %05d %s" % (number, "x" * 90), flush=True)
    if number % 10 == 0:
        time.sleep(0.002)
while True:
    print("still here", flush=True)
    time.sleep(0.05)
"""


def expected(kind: str) -> list[str]:
    numbers = range(0, LINES, 10 if kind == "err" else 1)
    return [f"{kind} {n:06d} " + ("y" * 70_000 if n % 50_000 == 4_321 else "x" * (n % 150)) for n in numbers]


def test_200000_lines_are_once_and_in_order_in_the_rotated_files_and_in_the_output(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program(
        "talk",
        TALKATIVE,
        autorestart="false",
        redirect_stderr="false",
        stdout_logfile=tmp_path / "out.log",
        stdout_logfile_maxbytes="1MB",
        stdout_logfile_backups=60,
        stderr_logfile=tmp_path / "err.log",
        stderr_logfile_maxbytes="1MB",
        stderr_logfile_backups=60,
    )
    with container:
        container.said(r"^\[talk\] z{1000}")
        container.said(r"exited: talk \(exit status 0; expected\)")
    said = container.output().splitlines()
    for kind, end in (("out", "z" * ENDLESS), ("err", "")):
        wanted = expected(kind)
        names = [*(tmp_path / f"{kind}.log.{n}" for n in range(60, 0, -1)), tmp_path / f"{kind}.log"]
        files = [name.read_text() for name in names if name.exists()]
        assert len(files) >= 2
        assert "".join(files) == "".join(f"{line}\n" for line in wanted) + end
        assert all(file.endswith("\n") for file in files if "z" not in file)
        assert max(map(len, files)) <= 1 << 20
        assert [line for line in said if line.startswith(f"[talk] {kind}")] == [f"[talk] {line}" for line in wanted]
    assert f"[talk] {'z' * ENDLESS}" in said
    assert all(line.startswith(("[talk] ", "[supervisor] ")) for line in said)
    assert "loggers.py" not in container.errors()


def test_links_and_fifos_in_the_places_of_logs_are_not_written_to_and_the_start_goes_on(tmp_path: Path) -> None:
    victims = [tmp_path / f"victim{number}" for number in range(3)]
    for victim in victims:
        victim.write_text("mine")
    folder = tmp_path / "log"
    folder.mkdir()
    for name, victim in zip(("supervisord.log", "engine.log", "engine.log.1"), victims, strict=True):
        (folder / name).symlink_to(victim)
    os.mkfifo(folder / "other.log")
    container = Container(tmp_path, engines="engine")
    container.supervisord["logfile"] = folder / "supervisord.log"
    small: dict[str, Any] = {"stdout_logfile_maxbytes": "1KB", "stdout_logfile_backups": 2}
    talk = "import time\nfor _ in range(99):\n    print('line ' * 10)\ntime.sleep(600)\n"
    container.program("engine", talk, stdout_logfile=folder / "engine.log", **small)
    container.program("other", talk, stdout_logfile=folder / "other.log", **small)
    with container:
        for name in ("supervisord.log", "engine.log", "engine.log.1"):
            container.said(rf"^\[supervisor\] .* WARN the log {folder}/{name} was a link: it is left alone")
        container.said(rf"^\[supervisor\] .* WARN the log {folder}/other.log cannot be written: it is no file$")
        for name in ("engine", "other"):
            container.said(rf"^\[{name}\] line", 99)
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir() if path.is_file()} == {0o600}
        assert "supervisord started" in (folder / "supervisord.log").read_text()
    assert [victim.read_text() for victim in victims] == ["mine"] * 3
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert "loggers.py" not in container.errors()


def test_a_log_can_be_cleared_reopened_and_read_by_supervisorctl(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("talk", "import time\nprint('first', flush=True)\n" + SLEEP)
    with container:
        container.said(r"^\[talk\] first$")
        assert container.control("tail", "talk") == "first\n\n"
        assert container.control("clear", "talk") == "talk: cleared\n"
        assert (tmp_path / "talk.log").read_bytes() == b""
        assert (tmp_path / "talk.log").stat().st_mode & 0o777 == 0o600
        assert "started" in container.control("maintail")


def test_no_file_stays_open_of_lives_that_are_over(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("short", "print('again', flush=True)\n")
    with container:
        container.spawned("short", 5)
        folder = Path(f"/proc/{container.pid}/fd")
        open_logs = [fd for fd in folder.iterdir() if os.path.realpath(fd).endswith("short.log")]
        assert len(open_logs) <= 1


def own_disk(folder: Path) -> tuple[str, ...]:
    """A command in front of another's, which sees a disk of 256 KB there."""
    prepared = f'mount -t tmpfs -o size=256k tmpfs {folder} && head -c 128k /dev/zero >{folder}/other && exec "$@"'
    command = ("unshare", "--map-root-user", "--mount", "sh", "-c", prepared, "sh")
    tried = subprocess.run([*command, "true"], check=False, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {tried.stderr.strip()}")
    return command


def test_on_a_full_disk_all_goes_on_with_one_sentence_and_with_room_again_the_files_do(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    container = Container(tmp_path, under=own_disk(disk))
    container.supervisord["logfile"] = disk / "supervisord.log"
    container.program("talk", FILLING, stdout_logfile=disk / "talk.log", stdout_logfile_backups=2)
    with container:
        container.said(r"^\[talk\] still here$", 5)
        sentences = re.findall(r"the log \S+ cannot be written: .*", container.output())
        assert sentences[0] == f"the log {disk}/talk.log cannot be written: No space left on device"
        assert len(set(sentences)) == len(sentences) <= 2
        seen = Path(f"/proc/{container._started().pid}/root{disk}")
        (seen / "other").unlink()
        container.said(rf"the log {disk}/talk.log is written again: \d+ lines are missing there$")
        text = eventually(
            lambda: text if (text := (seen / "talk.log").read_text()).endswith("still here\n") else "", "its lines"
        )
        container._started().terminate()
        assert container.exit_code() == 0
    said = re.findall(r"^\[talk\] line (\d+) x{90}$", container.output(), re.MULTILINE)
    assert [int(number) for number in said] == list(range(8000))
    before, _, after = text.partition(" lines are missing here: No space left on device\n")
    written, missing = before.rpartition("\n[supervisor] ")[::2]
    whole = [line for line in written.splitlines() if len(line) == 101]
    assert [int(line.split()[1]) for line in whole] == list(range(len(whole)))
    assert set(after.splitlines()) == {"still here"}
    assert int(missing) >= 8000 - len(whole) - 1
    assert "loggers.py" not in container.errors()
