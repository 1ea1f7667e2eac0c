"""One request and its answer: stale connections, bodies sent as they come, early answers, and leaving."""

from __future__ import annotations

import asyncio

import pytest

from middleware.upstream import Aborted, Exchange, NoAnswer, Pool, UpstreamClosed
from middleware.upstream import exchange as exchange_module
from tests.middleware.upstream.playing import GET, OK, answering, fetch, play, until
from tests.middleware.upstreams import Script, read_head

POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"


def closing_on_second_request(seen: list[bytes], last_words: bytes = b"", wait: float = 0.0) -> Script:
    """Answers the first request of a connection and closes on the second, as a server does that had just given up."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in (OK, last_words):
            seen.append(await read_head(reader) + await reader.read(4))
            await asyncio.sleep(wait if reply is last_words else 0)
            writer.write(reply)
            await writer.drain()

    return script


def test_a_stale_connection_is_replaced_once_and_the_request_sent_again() -> None:
    seen: list[bytes] = []

    async def test(pool: Pool) -> None:
        await fetch(pool, POST, b"body")
        _, body = await fetch(pool, POST, b"body")
        assert body == b"ok"
        assert seen == [POST + b"body"] * 3

    play(closing_on_second_request(seen), test)


def test_a_fresh_connection_that_closes_is_not_tried_again() -> None:
    seen = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        await read_head(reader)
        seen += 1

    async def test(pool: Pool) -> None:
        with pytest.raises(UpstreamClosed, match="before it answered"):
            await fetch(pool)
        assert seen == 1

    play(script, test)


def test_a_request_is_not_sent_again_once_anything_of_an_answer_came() -> None:
    seen: list[bytes] = []

    async def test(pool: Pool) -> None:
        await fetch(pool, POST, b"body")
        with pytest.raises(UpstreamClosed):
            await fetch(pool, POST, b"body")
        assert len(seen) == 2

    play(closing_on_second_request(seen, b"HTTP/1.1 2"), test)


def test_a_server_that_dies_of_a_request_is_not_sent_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "STALE_SECONDS", 0.05)
    seen: list[bytes] = []

    async def test(pool: Pool) -> None:
        await fetch(pool, POST, b"body")
        with pytest.raises(UpstreamClosed):
            await fetch(pool, POST, b"body")
        assert len(seen) == 2

    play(closing_on_second_request(seen, wait=0.5), test)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_sent_as_it_comes(chunked: bool) -> None:
    got = bytearray()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        while b"last" not in got:
            got.extend(await reader.read(1000))
        if chunked:
            got.extend(await reader.readuntil(b"0\r\n\r\n") if not got.endswith(b"0\r\n\r\n") else b"")
        writer.write(OK)
        await writer.drain()

    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n", b"first", whole=False, chunked=chunked)
        await until(lambda: b"first" in got)
        await exchange.write(b"")  # Would end a chunked body if it were sent as a chunk.
        await exchange.write(b"last")
        await exchange.end()
        answer = await exchange.answer()
        assert await answer.read() == b"ok"
        exchange.close()
        assert bytes(got) == (b"5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n" if chunked else b"firstlast")

    play(script, test)


def test_a_body_that_cannot_be_sent_twice_gets_a_connection_of_its_own() -> None:
    async def test(pool: Pool) -> None:
        await fetch(pool)
        exchange = Exchange(pool)
        await exchange.open(GET, whole=False)
        assert pool.idle_count == 1
        await exchange.end()
        await exchange.answer()
        exchange.close()

    play(answering(OK), test)


def test_writing_waits_for_a_slow_server_and_an_early_answer_ends_the_waiting() -> None:
    answer_now = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await answer_now.wait()
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
        await writer.drain()
        await reader.read(1)
        await asyncio.sleep(1)

    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(b"POST / HTTP/1.1\r\nhost: x\r\n\r\n", whole=False, chunked=True)

        async def upload() -> None:
            while True:
                await exchange.write(b"x" * 1_000_000)

        uploading = asyncio.create_task(upload())
        await asyncio.sleep(0.2)
        assert not uploading.done()  # The server does not read, so it hangs: otherwise this would fill the memory.
        answer_now.set()
        answer = await exchange.answer()
        assert (answer.status, await answer.read()) == (413, b"no")
        exchange.close()
        uploading.cancel()
        assert pool.idle_count == 0

    play(script, test)


@pytest.mark.parametrize("used_before", [False, True])
def test_a_server_that_never_begins_to_answer_has_a_deadline(used_before: bool) -> None:
    """Sent once only, whatever connection it was sent on."""
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            seen.append(head)
            if used_before and len(seen) == 1:
                writer.write(OK)
                await writer.drain()

    async def test(pool: Pool) -> None:
        if used_before:
            await fetch(pool)
        exchange = Exchange(pool)
        await exchange.open(GET)
        with pytest.raises(NoAnswer, match=r"within 0\.1 s"):
            await exchange.answer(within=0.1)
        exchange.close()
        assert len(seen) == 1 + used_before
        assert pool.idle_count == 0

    play(script, test)


def test_a_deadline_is_for_the_beginning_of_an_answer_alone() -> None:
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        await go_on.wait()
        writer.write(b"ok")
        await reader.read()

    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer(within=2.0)
        body = asyncio.create_task(answer.read())
        await asyncio.sleep(2.1)  # The deadline is over, and was not kept.
        go_on.set()
        assert await body == b"ok"
        exchange.close()

    play(script, test)


def test_leaving_wakes_whoever_waits_and_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.read()
        closed.set()

    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(GET)
        asyncio.get_running_loop().call_later(0.05, exchange.abort)
        with pytest.raises(Aborted):
            await exchange.answer()
        exchange.close()
        await closed.wait()

    play(script, test)


def test_leaving_in_the_middle_of_an_answer_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n")
        await reader.read()
        closed.set()

    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer()
        assert await answer.read() == b"a"
        exchange.abort()
        with pytest.raises(Aborted):
            await answer.read()
        await closed.wait()
        exchange.close()

    play(script, test)


def test_an_exchange_that_was_left_before_it_began_sends_nothing() -> None:
    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        exchange.abort()
        with pytest.raises(Aborted):
            await exchange.open(GET)
        with pytest.raises(Aborted):
            await exchange.answer()
        exchange.close()

    play(answering(OK), test)


def test_an_answer_that_was_not_read_to_its_end_is_not_the_next_ones_beginning() -> None:
    async def test(pool: Pool) -> None:
        exchange = Exchange(pool)
        await exchange.open(GET)
        answer = await exchange.answer()
        await until(lambda: answer.complete)
        exchange.close()  # Nobody has read it.
        _, body = await fetch(pool)
        assert body == b"ok"

    play(answering(OK), test)
