"""One connection that asks for streams, one after the other, and notes when each piece of them came.
Used by `bench.streams`.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import cast

import httptools

EVENT = b"data: {"
DONE = b"data: [DONE]\n\n"


class Reader(asyncio.Protocol):
    """ended = reader.ask(request); await ended; then reader.ended_well, reader.events, reader.ttft, reader.arrivals"""

    def __init__(self) -> None:
        self._connected = False
        self._closed = False
        self._ended: asyncio.Future[None] | None = None
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._tail = b""
        self._complete = False
        self.status = 0
        self.events = 0
        self.asked = 0.0
        self.arrivals: list[float] = []  # of reads that held a part of the body

    @property
    def ttft(self) -> float:
        return self.arrivals[0] - self.asked

    @property
    def complete(self) -> bool:
        return self._complete

    @property
    def ended_well(self) -> bool:
        return self._complete and self.status == 200 and self._tail.endswith(DONE)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> asyncio.Future[None]:
        self._reset()
        self._ended = asyncio.get_running_loop().create_future()
        if self._closed:
            self._end()
        self.asked = time.perf_counter()
        self._transport.write(request)
        return self._ended

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        before = self._tail
        self._parser.feed_data(data)
        if self._tail is not before:
            self.arrivals.append(now)
            if not self.begun.done():
                self.begun.set_result(None)

    def on_status(self, status: bytes) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        joined = self._tail + body
        # What is kept is too short to hold an event's beginning that was counted already, but for its last bytes.
        self.events += joined.count(EVENT) - self._tail.count(EVENT)
        self._tail = joined[-len(DONE) :]

    def on_message_complete(self) -> None:
        self._complete = True
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._end()

    def close(self) -> None:
        self._transport.close()

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
