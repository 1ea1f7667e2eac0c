"""Connections: made within a deadline, used again while they are good, and never more than once at a time."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import uvloop

from middleware.upstream import ConnectFailed, Exchange, Pool
from tests.middleware.serving import free_port
from tests.middleware.upstream.playing import GET, OK, answering, fetch, play, until
from tests.middleware.upstreams import read_head, scripted


def test_a_connection_is_used_again() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(OK)(reader, writer)

    async def test(pool: Pool) -> None:
        for _ in range(5):
            await fetch(pool)
        assert connections == 1

    play(script, test)


def test_the_most_recent_connection_is_used_first() -> None:
    async def test(pool: Pool) -> None:
        exchanges = [Exchange(pool) for _ in range(3)]
        answers = []
        for exchange in exchanges:
            await exchange.open(GET)
            answers.append(await exchange.answer())
        for exchange, answer in zip(exchanges, answers, strict=True):
            await answer.read()
            exchange.close()
        assert pool.idle_count == 3
        assert [pool.take_idle() for _ in range(4)] == [*reversed(answers), None]
        for answer in answers:
            answer.abort()

    play(answering(OK), test)


def test_there_is_no_limit_on_connections() -> None:
    together = 150
    arrived = 0
    all_there = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await read_head(reader)
        arrived += 1
        if arrived == together:
            all_there.set()
        await all_there.wait()
        writer.write(OK)
        await writer.drain()
        await reader.read()

    async def test(pool: Pool) -> None:
        bodies = await asyncio.gather(*(fetch(pool) for _ in range(together)))
        assert all(body == b"ok" for _, body in bodies)
        assert pool.idle_count == together

    play(script, test)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), id="the server says close"),
        pytest.param(OK.replace(b"1.1", b"1.0"), id="HTTP/1.0"),
        pytest.param(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad", id="more came than the answer"),
    ],
)
def test_a_connection_that_may_not_be_used_again_is_closed(sent: bytes) -> None:
    async def test(pool: Pool) -> None:
        for _ in range(2):
            _, body = await fetch(pool)
            assert body == b"ok"
            assert pool.idle_count == 0

    play(answering(sent), test)


def test_an_idle_connection_leaves_the_pool_when_the_server_closes_it() -> None:
    async def test(pool: Pool) -> None:
        await fetch(pool)
        await until(lambda: pool.idle_count == 0)

    play(answering(OK, close=True), test)


def test_what_nobody_asked_for_does_not_become_the_next_answer() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async def test(pool: Pool) -> None:
        await fetch(pool)
        await until(lambda: pool.idle_count == 0)
        answer, _ = await fetch(pool)
        assert answer.status == 200

    play(script, test)


def test_a_refused_connection_says_so() -> None:
    async def test() -> None:
        with pytest.raises(ConnectFailed, match=r"no connection to 127\.0\.0\.1:"):
            await Pool("127.0.0.1", free_port()).connect()

    asyncio.run(test())


def test_connecting_has_a_deadline() -> None:
    """A full backlog: the system answers no further connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        queued = [socket.socket() for _ in range(4)]
        try:
            for sock in queued:
                sock.setblocking(False)
                sock.connect_ex(address)

            async def test() -> None:
                with pytest.raises(ConnectFailed, match="within"):
                    await Pool("127.0.0.1", address[1], connect_seconds=0.2).connect()

            asyncio.run(test())
        finally:
            for sock in queued:
                sock.close()


def test_tokens_are_not_held_back() -> None:
    async def test(pool: Pool) -> None:
        connection = await pool.connect()
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connection.abort()

    play(answering(OK), test)


def test_a_server_on_a_unix_socket_is_asked_as_one_on_tcp(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def main() -> None:
        async with scripted(answering(OK), path):
            pool = Pool.unix(str(path))
            for _ in range(2):
                assert (await fetch(pool))[1] == b"ok"
            assert pool.idle_count == 1
            pool.close()
            with pytest.raises(ConnectFailed, match=f"no connection to {path}x"):
                await Pool.unix(f"{path}x").connect()

    uvloop.run(main())
