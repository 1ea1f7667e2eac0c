"""A log file over real files: what is in it and its older ones, whatever lies in their places."""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervision import rotated
from supervision.rotated import RotatedFile


class Log:
    def __init__(self, folder: Path, max_bytes: int = 1000, backups: int = 3) -> None:
        self.path = folder / "a.log"
        self.backups = backups
        self.said: list[str] = []
        self.file = RotatedFile(str(self.path), max_bytes, backups, self.said.append)

    def pieces(self) -> list[bytes]:
        """The oldest first."""
        names = [*(Path(f"{self.path}.{number}") for number in range(self.backups, 0, -1)), self.path]
        return [name.read_bytes() for name in names if name.exists()]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotated, "RETRY_SECONDS", 0.0)


@pytest.fixture
def full_at_3000() -> Iterator[None]:
    """A disk with room for so many bytes, as a limit of the kernel's on each file: EFBIG for ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_pieces_lines_stay_whole_in_order_and_files_below_their_limit(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    lines = [b"%d %b\n" % (number, b"x" * chance.choice((0, 5, 60, 110))) for number in range(1000)]
    text = b"".join(lines)
    log = Log(tmp_path, backups=len(text) // 800)
    while text:
        size = chance.choice((1, 7, 100, 900, 5000))
        log.file.write(text[:size])
        text = text[size:]
    assert b"".join(log.pieces()) == b"".join(lines)
    assert len(log.pieces()) > 10
    assert all(piece.endswith(b"\n") and len(piece) <= 1000 for piece in log.pieces() if piece)
    assert log.said == []


def test_a_line_without_end_is_cut_where_a_file_ends_and_nowhere_else(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.file.write(b"short\n")
    for _ in range(6):
        log.file.write(b"x" * 400)
    log.file.write(b"\nshort again\n")
    assert b"".join(log.pieces()) == b"short\n" + b"x" * 2400 + b"\nshort again\n"
    assert all(len(piece) <= 1000 for piece in log.pieces())


def test_a_line_that_fits_into_a_file_of_its_own_is_not_cut(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for _ in range(3):
        log.file.write(b"x" * 700 + b"\n")
    assert [len(piece) for piece in log.pieces()] == [701] * 3


def test_the_oldest_lines_go_and_no_more_files_are_kept_than_were_asked_for(tmp_path: Path) -> None:
    log = Log(tmp_path, backups=2)
    for number in range(1000):
        log.file.write(b"line %03d\n" % number)
    assert len(list(tmp_path.iterdir())) == 3
    assert b"".join(log.pieces()).endswith(b"line 998\nline 999\n")
    assert b"line 000" not in b"".join(log.pieces())


def test_without_older_files_it_begins_anew_and_without_a_limit_it_grows(tmp_path: Path) -> None:
    for backups, limit, size in ((0, 100, 100), (3, 0, 9000)):
        folder = tmp_path / str(limit)
        folder.mkdir()
        log = Log(folder, limit, backups)
        for number in range(1000):
            log.file.write(b"line %03d\n" % number)
        assert [path.name for path in folder.iterdir()] == ["a.log"]
        assert log.path.stat().st_size <= size
        assert limit or log.path.read_bytes().count(b"\n") == 1000


def test_a_file_that_is_there_is_continued_and_its_limit_counts_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"earlier\n" * 120)
    log = Log(tmp_path)
    log.file.write(b"now\n" * 20)
    assert [len(piece) for piece in log.pieces()] == [964, 76]


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
@pytest.mark.parametrize("mode", [None, 0o666, 0o400])
def test_its_files_are_0600_whatever_the_umask_and_what_they_were(tmp_path: Path, umask: int, mode: int | None) -> None:
    if mode is not None:
        for name in ("a.log", "a.log.1", "a.log.2"):
            (tmp_path / name).write_bytes(b"old\n")
            (tmp_path / name).chmod(mode)
    before = os.umask(umask)
    try:
        log = Log(tmp_path)
        log.file.write(b"new\n" * 300)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) >= 2


@pytest.mark.parametrize("hard", [False, True], ids=["symbolic", "hard"])
@pytest.mark.parametrize("name", ["a.log", "a.log.1", "a.log.3"])
def test_a_link_in_its_place_is_replaced_and_what_it_leads_to_is_left_alone(
    tmp_path: Path, name: str, hard: bool
) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "log"
    victim.write_bytes(b"mine")
    victim.chmod(0o644)
    folder.mkdir()
    if hard:
        (folder / name).hardlink_to(victim)
    else:
        (folder / name).symlink_to(victim)
    log = Log(folder)
    log.file.write(b"line\n" * 2000)
    assert (victim.read_bytes(), victim.stat().st_mode & 0o777) == (b"mine", 0o644)
    assert not any(path.is_symlink() or path.stat().st_nlink > 1 for path in folder.iterdir())
    assert log.said == [f"the log {folder / name} was a link: it is left alone, and a file takes its place"]


def test_a_link_to_nowhere_makes_no_file_there(tmp_path: Path) -> None:
    (tmp_path / "a.log").symlink_to(tmp_path / "nowhere")
    Log(tmp_path).file.write(b"line\n")
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "a.log").read_bytes() == b"line\n"


@pytest.mark.parametrize("has_reader", [False, True])
def test_a_fifo_or_a_folder_in_its_place_is_refused_with_a_sentence_and_blocks_nothing(
    tmp_path: Path, has_reader: bool
) -> None:
    os.mkfifo(tmp_path / "a.log")
    reader = os.open(tmp_path / "a.log", os.O_RDONLY | os.O_NONBLOCK) if has_reader else None
    log = Log(tmp_path)
    log.file.write(b"line\n" * 100)
    if reader is not None:
        assert os.read(reader, 100) == b""
        os.close(reader)
    (tmp_path / "folder/a.log").mkdir(parents=True)
    Log(tmp_path / "folder").file.write(b"line\n")
    assert log.said == [f"the log {tmp_path}/a.log cannot be written: it is no file"]


def test_what_was_in_the_way_may_go_and_the_file_says_what_is_missing(tmp_path: Path, impatient: None) -> None:
    (tmp_path / "a.log").mkdir()
    log = Log(tmp_path)
    log.file.write(b"one\ntwo\nthr")
    (tmp_path / "a.log").rmdir()
    log.file.write(b"ee\nfour\n")
    assert log.path.read_bytes() == b"[supervisor] 3 lines are missing here: it is no file\nfour\n"
    assert log.said[1:] == [f"the log {log.path} is written again: 3 lines are missing there"]


def test_an_older_name_that_cannot_be_taken_costs_the_older_lines_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "a.log.1/x").mkdir(parents=True)
    log = Log(tmp_path, backups=1)
    for number in range(200):
        log.file.write(b"line %03d\n" % number)
    assert log.path.read_bytes().endswith(b"line 199\n")
    assert log.path.stat().st_size <= 1000
    assert log.said[0] == f"the log {log.path} begins anew: {log.path}.1 cannot be written: Is a directory"


def test_a_full_disk_is_said_once_and_with_room_again_the_file_goes_on(
    tmp_path: Path, impatient: None, full_at_3000: None
) -> None:
    log = Log(tmp_path, max_bytes=0)
    for number in range(1000):
        log.file.write(b"line %03d\n" % number)
    assert log.said == [f"the log {log.path} cannot be written: File too large"]
    whole = log.path.read_bytes()
    assert len(whole) == 3000
    os.truncate(log.path, 1800)
    log.file.write(b"line 1000\nline 1001\n")
    assert log.path.read_bytes()[1800:] == (
        b"\n[supervisor] 667 lines are missing here: File too large\nline 1000\nline 1001\n"
    )
    assert log.said[1:] == [f"the log {log.path} is written again: 667 lines are missing there"]


def test_a_disk_that_is_full_again_and_again_is_said_less_and_less_often(tmp_path: Path, full_at_3000: None) -> None:
    log = Log(tmp_path, max_bytes=0)
    waits = []
    for _ in range(5):
        log.file._retry_at = 0.0
        log.path.write_bytes(b"")
        log.file.write(b"x" * 2900 + b"\n" + b"y" * 200 + b"\n")
        waits.append(log.file._patience)
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]


def test_a_file_that_was_taken_away_is_made_again_when_it_is_reopened(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.file.write(b"one\n")
    log.file.remove()
    log.file.reopen()
    log.file.write(b"two\n")
    assert log.path.read_bytes() == b"two\n"
