"""The writer thread over a real pipe: nothing lost while it is read, all accounted for while it is not."""

import os
import re
import threading
from collections.abc import Iterator
from io import FileIO

import pytest

from supervision.output import ContainerOutput


class Pipe:
    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.reading, self.writing = FileIO(reading, "r"), FileIO(writing, "w")
        self._read = bytearray()
        self._reader = threading.Thread(target=self._collect)

    def _collect(self) -> None:
        while data := self.reading.read(1 << 16):
            self._read.extend(data)

    def start_reading(self) -> None:
        self._reader.start()

    def all(self) -> bytes:
        """What was read until the end, which this makes."""
        self.writing.close()
        self._reader.join()
        return bytes(self._read)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.writing.close()
    pipe.reading.close()


def test_everything_is_written_in_order(pipe: Pipe) -> None:
    pipe.start_reading()
    output = ContainerOutput(pipe.writing.fileno())
    lines = [b"line %d\n" % number for number in range(5000)]
    for line in lines:
        output.put(line)
    assert output.flush(30)
    assert pipe.all() == b"".join(lines)


def test_what_a_stalled_reader_misses_is_counted_where_it_is_missing(pipe: Pipe) -> None:
    output = ContainerOutput(pipe.writing.fileno(), limit_bytes=100_000)
    for number in range(50_000):
        output.put(b"line %d\n" % number)
    assert not output.flush(0.05), "nobody reads: the pipe is full"
    pipe.start_reading()
    assert output.flush(30)
    output.put(b"line 50000\n")
    assert output.flush(30)
    next_number, gaps = 0, 0
    for line in pipe.all().decode().splitlines():
        if notice := re.fullmatch(r"\[supervisor\] output is read too slowly: (\d+) lines dropped here; .*", line):
            next_number += int(notice[1])
            gaps += 1
        else:
            assert line == f"line {next_number}"
            next_number += 1
    assert next_number == 50_001
    assert 1 <= gaps <= 3


def test_last_words_are_never_dropped(pipe: Pipe) -> None:
    output = ContainerOutput(pipe.writing.fileno(), limit_bytes=10)
    output.put(b"much too long for the limit\n")
    output.put(b"these are the last words\n", always=True)
    assert output.flush(30)
    pipe.start_reading()
    notice, words = pipe.all().splitlines()
    assert b"1 lines dropped here" in notice
    assert words == b"these are the last words"


def test_a_reader_that_went_away_stops_nothing(pipe: Pipe) -> None:
    pipe.reading.close()
    output = ContainerOutput(pipe.writing.fileno())
    for _ in range(1000):
        output.put(b"nobody reads this\n")
    assert output.flush(30)
