"""Answers as servers really send them: in any pieces, with any framing, whole or broken."""

from __future__ import annotations

import asyncio

import pytest

from middleware.upstream import BadResponse, Exchange, Pool, UpstreamClosed, UpstreamError
from middleware.upstream.connection import HEAD_LIMIT
from tests.middleware.upstream.playing import GET, OK, answering, fetch, play
from tests.middleware.upstreams import read_head

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        pytest.param([OK], b"ok", id="in one piece"),
        pytest.param([bytes([byte]) for byte in OK], b"ok", id="byte by byte"),
        pytest.param([CHUNKED, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"], b"abcde", id="chunks"),
        pytest.param([CHUNKED, b"3\r", b"\nab", b"c\r", b"\n0\r\n", b"\r\n"], b"abc", id="chunks torn apart"),
        pytest.param([CHUNKED, b"3;x=y\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"], b"abc", id="extensions and trailers"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n", OK], b"ok", id="an interim answer first"),
        pytest.param([b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK], b"ok", id="early hints in one read"),
        pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], b"", id="no content"),
        pytest.param([b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n"], b"", id="not modified"),
    ],
)
def test_a_body_is_read_however_it_comes(sent: list[bytes], body: bytes) -> None:
    async def test(pool: Pool) -> None:
        for _ in range(2):  # The second time on the same connection.
            answer, got = await fetch(pool)
            assert got == body
            assert answer.complete
        assert pool.idle_count == 1

    play(answering(*sent), test)


def test_headers_keep_their_order_and_duplicates_and_lose_their_case() -> None:
    head = b"HTTP/1.1 201 Created\r\nSet-Cookie: a\r\nX-Empty:\r\nset-cookie: b\r\nContent-Length: 0\r\n\r\n"

    async def test(pool: Pool) -> None:
        answer, _ = await fetch(pool)
        assert answer.status == 201
        assert answer.headers == [
            (b"set-cookie", b"a"),
            (b"x-empty", b""),
            (b"set-cookie", b"b"),
            (b"content-length", b"0"),
        ]

    play(answering(head), test)


def test_headers_of_an_interim_answer_and_trailers_are_not_the_answers() -> None:
    async def test(pool: Pool) -> None:
        answer, _ = await fetch(pool)
        assert [name for name, _ in answer.headers] == [b"transfer-encoding"]

    play(answering(b"HTTP/1.1 103 X\r\nlink: x\r\n\r\n" + CHUNKED + b"1\r\na\r\n0\r\nx-trailer: 1\r\n\r\n"), test)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async def test(pool: Pool) -> None:
        _, body = await fetch(pool)
        assert body == b"all there is"
        assert pool.idle_count == 0

    play(answering(b"HTTP/1.1 200 OK\r\n\r\nall there", b" is", close=True), test)


def test_an_answer_to_head_has_no_body_whatever_it_promises() -> None:
    async def test(pool: Pool) -> None:
        answer, body = await fetch(pool, b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n", head_only=True)
        assert (answer.status, body) == (200, b"")

    play(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"), test)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        pytest.param(b"", UpstreamClosed, id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-", UpstreamClosed, id="half a header"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", UpstreamClosed, id="only an interim answer"),
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n", BadResponse, id="another protocol"),
        pytest.param(b"HTTP/1.1 999 X\r\n\r\n", BadResponse, id="no such status"),
        pytest.param(b"HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", BadResponse, id="an upgrade"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            BadResponse,
            id="two framings",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 2 * HEAD_LIMIT, BadResponse, id="a giant header"),
        pytest.param(b"HTTP/1.1 103 X\r\n\r\n" * 10_000, BadResponse, id="interim answers without end"),
    ],
)
def test_an_answer_that_never_begins_is_an_error(sent: bytes, error: type[Exception]) -> None:
    async def test(pool: Pool) -> None:
        with pytest.raises(error):
            await fetch(pool)
        assert pool.idle_count == 0

    play(answering(sent, close=True), test)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", UpstreamClosed, id="a length not reached"),
        pytest.param(CHUNKED + b"4\r\nhalf\r\n", UpstreamClosed, id="no last chunk"),
        pytest.param(CHUNKED + b"4\r\nhalf\r\nzz\r\n", BadResponse, id="a chunk size that is none"),
    ],
)
def test_half_a_body_is_handed_over_and_then_raises(sent: bytes, error: type[Exception]) -> None:
    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer()
        assert await answer.read() == b"half"
        with pytest.raises(error):
            await answer.read()
        assert not answer.complete
        exchange.close()
        assert pool.idle_count == 0

    play(answering(sent, close=True), test)


def test_what_arrived_in_one_read_is_handed_over_in_one_piece() -> None:
    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer()
        assert await answer.read() == b"onetwothree"
        exchange.close()

    play(answering(CHUNKED + b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"), test)


class Flood:
    """A server that sends as fast as it is let."""

    SIZE = 64 * 1024 * 1024

    def __init__(self) -> None:
        self.sent = 0

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % self.SIZE)
        for _ in range(self.SIZE // 65536):
            writer.write(b"x" * 65536)
            await writer.drain()
            self.sent += 65536

    async def halted(self) -> None:
        before = -1
        while before != self.sent:
            before = self.sent
            await asyncio.sleep(0.2)
        assert self.sent < self.SIZE // 2


def test_a_slow_reader_stops_the_server_and_loses_nothing() -> None:
    flood = Flood()

    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer()
        await flood.halted()
        got = 0
        while data := await answer.read():
            got += len(data)
        assert got == Flood.SIZE
        exchange.close()

    play(flood.script, test)


def test_what_is_poured_arrives_piece_by_piece_and_the_last_is_left_to_be_read() -> None:
    poured: list[bytes] = []

    def sink(data: bytes) -> bool:
        poured.append(data)
        return True

    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer()
        await answer.pour(sink)
        last = await answer.read()
        assert b"".join(poured) + last == b"onetwothree"
        assert poured[:2] == [b"one", b"two"]
        assert await answer.read() == b""
        exchange.close()
        assert pool.idle_count == 1

    play(answering(CHUNKED, b"3\r\none\r\n", b"3\r\ntwo\r\n", b"5\r\nthree\r\n0\r\n\r\n"), test)


def test_a_sink_that_takes_no_more_stops_the_server_until_it_goes_on() -> None:
    flood = Flood()
    got = 0

    async def test(pool: Pool) -> None:
        nonlocal got
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer()

        full = True

        def sink(data: bytes) -> bool:
            nonlocal got
            got += len(data)
            return not full

        pouring = asyncio.create_task(answer.pour(sink))
        await flood.halted()
        full = False
        answer.go_on()
        await pouring
        while data := await answer.read():
            got += len(data)
        assert got == Flood.SIZE
        exchange.close()

    play(flood.script, test)


# Found by chaos (tests/chaos): reading was stopped before there was a sink, and nobody went on.
def test_more_than_fits_before_it_is_poured_stops_the_server_only_until_it_is_poured() -> None:
    flood = Flood()
    got = 0

    def sink(data: bytes) -> bool:
        nonlocal got
        got += len(data)
        return True

    async def test(pool: Pool) -> None:
        nonlocal got
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer()
        await flood.halted()
        await answer.pour(sink)
        while data := await answer.read():
            got += len(data)
        assert got == Flood.SIZE
        exchange.close()

    play(flood.script, test)


@pytest.mark.parametrize("end", [b"", b"zz\r\n"])
def test_an_answer_that_breaks_while_it_is_poured_raises(end: bytes) -> None:
    poured: list[bytes] = []

    def sink(data: bytes) -> bool:
        poured.append(data)
        return True

    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer()
        with pytest.raises(UpstreamError):
            await answer.pour(sink)
        assert poured == [b"one"]
        exchange.close()
        assert pool.idle_count == 0

    play(answering(CHUNKED, b"3\r\none\r\n", end, close=True), test)
