"""One client connection, strict about framing: an answer is whole, or cut, and what comes unasked is told.
Used by `load`.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import cast

import httptools

# Smaller ones leave the kernel waiting for its persist timer, up to minutes.
SMALL_BUFFER = 64 * 1024
SIP_SECONDS = 0.2


@dataclass
class Answer:
    status: int = 0  # 0: no head has come
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    odd: str = ""  # what no server may do


class Wire(asyncio.Protocol):
    """wire = await connect(port)
    answer = await wire.ask(request)     # returns when it is whole, or the connection has ended
    """

    def __init__(self) -> None:
        self.answer = Answer()
        self.lost = False
        self._asked = False
        self._moved = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> None:
        # A parser of its own for each answer: what is left of the one before must not be taken for this one's.
        self._parser = httptools.HttpResponseParser(self)
        self.answer = Answer()
        self._asked = True
        self.transport.write(request)

    async def ask(self, request: bytes) -> Answer:
        self.send(request)
        while not (self.answer.whole or self.lost):
            await self.moves()
        self._asked = False
        return self.answer

    async def moves(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    async def sip(self) -> None:
        """Reads a little at a time, until it is told to stop."""
        while not self.lost:
            self.transport.pause_reading()
            await asyncio.sleep(SIP_SECONDS)
            if self.lost:
                return
            self.transport.resume_reading()
            await asyncio.sleep(0.001)

    @property
    def reusable(self) -> bool:
        return not self.lost and not self.transport.is_closing() and self._parser.should_keep_alive()

    def close(self) -> None:
        self.transport.abort()

    # What the event loop and the parser do with it.

    def data_received(self, data: bytes) -> None:
        if not self._asked or self.answer.whole:
            self.answer.odd = f"unasked: {data[:100]!r}"
        else:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserError as fault:
                self.answer.odd = f"no HTTP: {fault}: {data[:100]!r}"
                self.transport.abort()
        self._moved.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._moved.set()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self.answer.whole:
            self.answer.odd = "more than an answer"
        self.answer.body += body

    def on_message_complete(self) -> None:
        self.answer.whole = True


async def connect(port: int, *, slow: bool = False) -> Wire:
    sock = socket.socket()
    try:
        if slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", port))
        return (await loop.create_connection(Wire, sock=sock))[1]
    except BaseException:
        sock.close()
        raise
