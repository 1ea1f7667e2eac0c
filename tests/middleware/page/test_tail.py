"""A log as the page reads it: whole lines, what is new, over rotations, and no key."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from middleware.masking import Mask
from middleware.page.tail import FIRST_BYTES, LONGEST_LINE, MOST_BYTES, Tail


class Reader:
    """Looks when it is told to, as `lines` does by the clock."""

    def __init__(self, path: Path, *keys: str) -> None:
        self._tail = Tail(path, Mask(keys))

    def new(self) -> list[str]:
        return self._tail._look()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "sglang-a.log"
    path.write_text("one\ntwo\n")
    return path


def test_a_line_is_told_once_and_when_it_has_ended(log: Path) -> None:
    reader = Reader(log)
    assert reader.new() == ["one", "two"]
    with log.open("a") as file:
        file.write("thr")
        file.flush()
        assert reader.new() == []
        file.write("ee\r\nfour\n")
        file.flush()
    assert reader.new() == ["three", "four"]
    assert reader.new() == []


def test_of_a_long_log_the_end_is_told_from_the_beginning_of_a_line(log: Path) -> None:
    log.write_text("".join(f"line {number:06}\n" for number in range(FIRST_BYTES)))
    told = Reader(log).new()
    assert told[-1] == f"line {FIRST_BYTES - 1:06}"
    assert len(told) < FIRST_BYTES // 10
    assert {len(line) for line in told} == {len("line 000000")}


def test_a_rotated_log_goes_on_with_the_new_file(log: Path) -> None:
    reader = Reader(log)
    reader.new()
    log.rename(log.with_suffix(".1"))
    log.write_text("three\n")
    assert reader.new() == ["three"]


def test_a_log_that_was_emptied_is_read_from_its_beginning(log: Path) -> None:
    reader = Reader(log)
    reader.new()
    log.write_text("3\n")
    assert reader.new() == ["3"]


def test_what_grows_faster_than_it_is_read_has_a_gap_that_is_told(log: Path) -> None:
    reader = Reader(log)
    reader.new()
    with log.open("a") as file:
        file.write("x" * 99 + "\n")
        file.writelines(f"{number:099}\n" for number in range(MOST_BYTES // 100 + 100))
    told = reader.new()
    assert "are left out" in told[0]
    assert {len(line) for line in told[1:]} == {99}


def test_a_line_without_an_end_is_cut(log: Path) -> None:
    log.write_text("y" * 5000 + "\n")
    assert [len(line) for line in Reader(log).new()] == [LONGEST_LINE]


def test_keys_and_what_sounds_like_one_are_hidden(log: Path) -> None:
    log.write_text("Bearer sk-mine came\nserver_args=ServerArgs(api_key='other-secret', port=1)\n")
    told = "\n".join(Reader(log, "sk-mine").new())
    assert "sk-mine" not in told
    assert "other-secret" not in told
    assert "port=1" in told


def test_of_a_log_that_is_not_there_yet_that_is_told_once(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "sglang-b.log")
    assert reader.new() == ["(sglang-b.log: No such file or directory)"]
    assert reader.new() == []
    (tmp_path / "sglang-b.log").write_text("it is up\n")
    assert reader.new() == ["it is up"]


def test_it_goes_on_looking(log: Path) -> None:
    def more() -> None:
        log.write_text("one\ntwo\nthree\n")

    async def two() -> list[list[str]]:
        found = []
        async for lines in Tail(log, Mask()).lines():
            found.append(lines)
            if len(found) == 2:
                return found
            more()
        return found

    assert asyncio.run(two()) == [["one", "two"], ["three"]]
