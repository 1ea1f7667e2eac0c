"""Runs a test against a server of its own on one event loop: the server plays a script, the test makes exchanges."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from middleware.upstream import Connection, Exchange, Pool
from tests.middleware.serving import PATIENCE
from tests.middleware.upstreams import Script, read_head, scripted

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def play(script: Script, test: Callable[[Pool], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE), scripted(script) as port:
            pool = Pool("127.0.0.1", port, **options)
            try:
                await test(pool)
            finally:
                pool.close()
                await asyncio.sleep(0)

    uvloop.run(main())


def answering(*pieces: bytes, close: bool = False) -> Script:
    """Answers each request of a connection with these pieces, one write each."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)  # So that each piece is a read of its own on the other side.
            if close:
                return

    return script


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  (it is the other side that changes it)
        await asyncio.sleep(0.01)


async def fetch(pool: Pool, head: bytes = GET, body: bytes = b"", **options: Any) -> tuple[Connection, bytes]:
    """The answer, and its body read to the end."""
    exchange = Exchange(pool)
    try:
        await exchange.open(head, body, **options)
        answer = await exchange.answer()
        pieces = []
        while data := await answer.read():
            pieces.append(data)
        return answer, b"".join(pieces)
    finally:
        exchange.close()
