"""One connection to the server behind us, with the answer that is arriving on it.
Made by `Pool`, driven by `Exchange`; it serves one request at a time and may serve many.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import httptools

from middleware.upstream.answer import Answer
from middleware.upstream.exceptions import Aborted, BadResponse, NoAnswer, UpstreamClosed, UpstreamError

# Unread bytes at which we stop reading from the server, so that a slow client slows the server and not our memory.
HIGH_WATER = 64 * 1024
# What the kernel holds for us, which is the most that one read brings. By itself it goes up to megabytes: five hundred
# connections that had so much kept the event loop, and whoever asks for /health, waiting for seconds.
ONE_READ = 64 * 1024
# A status line and headers larger than this are not an answer of any engine.
HEAD_LIMIT = 64 * 1024


class Connection(Answer, asyncio.Protocol):
    __slots__ = ("_drained", "_forget", "_head_size", "_transport", "_write_paused", "busy", "lost")

    def __init__(self, forget: Callable[["Connection"], None]) -> None:
        super().__init__()
        self._forget = forget
        self._transport: asyncio.Transport
        self._drained: asyncio.Future[None] | None = None
        self._head_size = 0
        self._write_paused = False
        self.busy = False
        self.lost = False

    # What an exchange does with it.

    @property
    def reusable(self) -> bool:
        return not self.lost and self.keep_alive and self.error is None and not self._transport.is_closing()

    @property
    def silent(self) -> bool:
        """Not one byte of an answer has come."""
        return self._head_size == 0

    def begin(self, head: bytes, body: bytes, *, head_only: bool) -> None:
        """Sends a request, or the beginning of one."""
        self.expect(head_only=head_only)
        self.busy = True
        self._head_size = 0
        if len(body) < HIGH_WATER:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    async def write(self, data: bytes) -> None:
        """Sends more of the request's body, no faster than the server reads it."""
        if self.lost or self.complete or self.error is not None:
            return  # The server has answered without the rest; the client may still be sending it.
        self._transport.write(data)
        if self._write_paused:
            self._drained = self._loop.create_future()
            await self._drained

    def rest(self) -> None:
        """The answer was read to its end: whatever comes before the next `begin` was not asked for."""
        self.busy = False

    def give_up(self, seconds: float) -> None:
        """Closes if nothing of an answer has come."""
        if self.busy and not self.status:
            self._fail(NoAnswer(f"the server did not begin to answer within {seconds:g} s"))

    def abort(self) -> None:
        """Closes at once, which is how the server learns that nobody wants the answer any more."""
        self._fail(Aborted("closed from our side"))

    # What the event loop does with it.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's (0.23) are no instances of it.
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ONE_READ)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if not self.busy:
            # Unasked, for example a 408 before an idle connection is closed: it must not become the next answer.
            self._transport.abort()
            return
        if not self.status:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            if self.complete:  # More came than the answer: the answer is good, the connection is not.
                self.keep_alive = False
            else:
                self._fail(BadResponse(f"the server's answer is not valid HTTP/1.1: {exc}"))
                return
        if self.status:
            if self._sink is not None and not self.complete:
                pieces = self._pieces
                if len(pieces) == 1:  # A chunk, as nearly always: the dearest lines of all.
                    data = pieces.pop()
                    self._buffered = 0
                    if not self._sink(data):
                        self._stop_reading()
                else:
                    self._hand_on()
                return
            if self._buffered > HIGH_WATER:
                self._stop_reading()
            if self._waiter is not None:
                self._wake()
        elif self._head_size > HEAD_LIMIT:
            self._fail(BadResponse(f"the server's header is larger than {HEAD_LIMIT} bytes"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._forget(self)
        if self.busy and not self.complete:
            if exc is None and self.error is None and self.status and not self.framed():
                self.complete = True  # Without a length the end of the connection is the end of the answer.
            else:
                when = "in the middle of its answer" if self.status else "before it answered"
                self._fail(UpstreamClosed(f"the server closed the connection {when}"))
        self._wake()
        self._release_writer()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._release_writer()

    # Between them.

    def _stop_reading(self) -> None:
        if self._resume is None and not self.complete:
            self._transport.pause_reading()
            self._resume = self._read_on

    def _read_on(self) -> None:
        if not self.lost:
            self._transport.resume_reading()

    def _release_writer(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        """The end of this connection, and of the answer unless that is complete; whoever waits learns of it."""
        if self.error is None and not self.complete:
            self.error = error
        if not self.lost:
            self._transport.abort()
        self._wake()
        self._release_writer()
