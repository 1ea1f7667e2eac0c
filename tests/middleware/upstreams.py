"""Upstreams that misbehave as a test says: real servers on loopback, in the test's event loop or in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from tests.middleware.serving import PATIENCE

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

MODELS = b'{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"sglang","parent":null}]}'
HEALTHY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
NO_METRICS = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
NOTHING_KNOWN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
LISTING = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(MODELS), MODELS)


async def read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@contextlib.asynccontextmanager
async def scripted(script: Script, path: Path | None = None) -> AsyncIterator[int]:
    """A server that does what the script says with each connection; the port, or 0 with a unix socket's path."""
    tasks: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    if path is None:
        server = await asyncio.start_server(play, "127.0.0.1", 0, backlog=1024)
    else:
        server = await asyncio.start_unix_server(play, path)
    try:
        yield server.sockets[0].getsockname()[1] if path is None else 0
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)
        await server.wait_closed()


Answering = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.contextmanager
def hostile(
    answering: Answering, listing: Callable[[], bytes] = lambda: LISTING, *, tells: bool = False, counts: bool = False
) -> Iterator[int]:
    """An upstream in a thread that is healthy to those who ask, and treats every other request as the test says: that
    for /model_info too if it `tells` of itself, and that for /metrics if it `counts`."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            path = head.split(b" ", 2)[1]
            if path == b"/health":
                writer.write(HEALTHY)
            elif path == b"/v1/models":
                writer.write(listing())
            elif path == b"/model_info" and not tells:
                writer.write(NOTHING_KNOWN)
            elif path == b"/metrics" and not counts:
                writer.write(NO_METRICS)
            else:
                await answering(head, reader, writer)
                if writer.is_closing():
                    return
            await writer.drain()

    ports: list[int] = []
    started = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        async with scripted(converse) as port:
            ports.append(port)
            loops.append((asyncio.get_running_loop(), stop))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert started.wait(PATIENCE)
        yield ports[0]
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
