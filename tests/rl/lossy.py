"""A network that loses answers: a proxy that hands on a request, waits for the whole answer and hangs up without it.
Used by the rehearsals, between a trainer and the server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

HEAD_LIMIT = 64 * 1024


@dataclass
class Lossy:
    """`left`: how many answers of each path are still to be lost; `lost`: what they were."""

    left: dict[str, int]
    upstream: int
    port: int = 0
    lost: list[tuple[str, bytes]] = field(default_factory=list)
    open: set[asyncio.Task[None] | None] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: it is told so in the answer."""
        task = asyncio.current_task()
        self.open.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            path, request = await _request(reader)
            answer = await self._asked(request)
            if self.left.get(path, 0) > 0:
                self.left[path] -= 1
                self.lost.append((path, answer))
            else:
                writer.write(answer)
        await _closed(writer)
        self.open.discard(task)

    async def _asked(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            length = _length(head)
            return head + (await reader.read() if length is None else await reader.readexactly(length))
        finally:
            await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Its path, and all of it with `Connection: close`, so that the end of the answer is the end of the connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    body = await reader.readexactly(_length(head) or 0)
    path = first.split(b" ")[1].partition(b"?")[0].decode("latin-1")
    return path, b"\r\n".join([first, *kept, b"connection: close"]) + b"\r\n\r\n" + body


def _length(head: bytes) -> int | None:
    found = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return int(found[0].partition(b":")[2]) if found else None


@contextlib.asynccontextmanager
async def losing(upstream: int, answers: Mapping[str, int]) -> AsyncIterator[Lossy]:
    """The proxy in front of the port, until the end of the block."""
    lossy = Lossy(dict(answers), upstream)
    server = await asyncio.start_server(lossy.serve, "127.0.0.1", 0, limit=HEAD_LIMIT)
    lossy.port = server.sockets[0].getsockname()[1]
    try:
        yield lossy
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*(task for task in lossy.open if task is not None))
