"""Lines: whole, with the name in front, streams never mixed, the last ones kept."""

import os
from collections.abc import Iterator

import pytest

from supervision.output import ContainerOutput
from supervision.transcript import LAST_LINES, LONGEST_LINE_BYTES, Transcript


class Page:
    """A transcript whose output is a file."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._output = ContainerOutput(fd)
        self.transcript = Transcript(self._output)

    def text(self) -> bytes:
        assert self._output.flush(30)
        return os.pread(self._fd, 1 << 24, 0)


@pytest.fixture
def page() -> Iterator[Page]:
    fd = os.memfd_create("page")
    yield Page(fd)
    os.close(fd)


def test_each_line_has_the_name_in_front(page: Page) -> None:
    page.transcript.channel("sglang").feed(b"one\ntwo\n\nfour\n")
    assert page.text() == b"[sglang] one\n[sglang] two\n[sglang] \n[sglang] four\n"


def test_a_line_in_pieces_comes_out_whole(page: Page) -> None:
    channel = page.transcript.channel("sglang")
    for piece in (b"on", b"e", b"\ntw", b"o\nthr"):
        channel.feed(piece)
    assert page.text() == b"[sglang] one\n[sglang] two\n"
    channel.finish()
    assert page.text() == b"[sglang] one\n[sglang] two\n[sglang] thr\n"


def test_stdout_and_stderr_never_share_a_line(page: Page) -> None:
    stdout, stderr = page.transcript.channel("sglang"), page.transcript.channel("sglang")
    stdout.feed(b"half of ")
    stderr.feed(b"an error\n")
    stdout.feed(b"a line\n")
    assert page.text() == b"[sglang] an error\n[sglang] half of a line\n"


@pytest.mark.parametrize("size", [(64 << 10) - 1, 64 << 10, (64 << 10) + 1, 300_000])
def test_a_long_line_stays_one_line(page: Page, size: int) -> None:
    channel = page.transcript.channel("sglang")
    line = b"x" * size + b"\n"
    for start in range(0, len(line), 65536):
        channel.feed(line[start : start + 65536])
    assert page.text() == b"[sglang] " + line


def test_a_line_without_end_does_not_fill_the_memory(page: Page) -> None:
    channel = page.transcript.channel("sglang")
    for _ in range(LONGEST_LINE_BYTES // 65536 * 2):
        channel.feed(b"x" * 65536)
    assert page.text() == (b"[sglang] " + b"x" * LONGEST_LINE_BYTES + b"\n") * 2


def test_bytes_that_are_no_utf8_go_through(page: Page) -> None:
    page.transcript.channel("sglang").feed(b"\xff\xfe\n")
    assert page.text() == b"[sglang] \xff\xfe\n"
    assert page.transcript.last_lines("sglang") == ["\N{REPLACEMENT CHARACTER}" * 2]


def test_the_last_lines_of_both_streams_and_all_lives_are_kept(page: Page) -> None:
    first_life = page.transcript.channel("sglang")
    first_life.feed(b"".join(b"line %d\n" % number for number in range(100)))
    page.transcript.channel("haproxy").feed(b"somebody else\n")
    page.transcript.channel("sglang").feed(b"second life\n")
    kept = page.transcript.last_lines("sglang")
    assert kept == [*(f"line {number}" for number in range(100 - LAST_LINES + 1, 100)), "second life"]
    assert page.transcript.last_lines("nobody") == []
