"""The answer that is arriving on a connection: what the parser has made of it, and the waiting for more.
The part of a `Connection` that faces the exchange's user; the other part faces the event loop.
"""

import abc
import asyncio
from collections.abc import Callable

import httptools

from middleware.upstream.exceptions import BadResponse, UpstreamError


class Answer(abc.ABC):
    """`status` and `headers` are there after `head()`; `read()` gives what has arrived until `complete`."""

    __slots__ = (
        "_buffered",
        "_head_only",
        "_loop",
        "_parser",
        "_pieces",
        "_resume",
        "_sink",
        "_waiter",
        "complete",
        "error",
        "headers",
        "keep_alive",
        "status",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._resume: Callable[[], None] | None = None
        self._sink: Callable[[bytes], bool] | None = None
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._head_only = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.keep_alive = True
        self.error: UpstreamError | None = None

    def expect(self, *, head_only: bool) -> None:
        """The next answer; `head_only` says that it has no body whatever its headers say (HEAD)."""
        self._pieces.clear()
        self._buffered = 0
        self._head_only = head_only
        self.status = 0
        self.headers = []
        self.complete = False
        self.keep_alive = False

    async def head(self) -> None:
        while not self.status:
            if self.error is not None:
                raise self.error
            await self._wait()

    async def read(self) -> bytes:
        """What has arrived since the last call, in one piece; empty at the end of the answer."""
        pieces = self._pieces
        while not pieces:
            if self.complete:
                return b""
            if self.error is not None:
                raise self.error
            await self._wait()
        data = self._take()
        self.go_on()
        return data

    async def pour(self, sink: Callable[[bytes], bool]) -> None:
        """Hands each piece to `sink` when it arrives, and wakes nobody for it; the last is left to be `read`.

        `sink` says whether it takes more: if not, the server is kept waiting until `go_on`.
        """
        self._sink = sink
        try:
            self._hand_on()
            while not self.complete:
                if self.error is not None:
                    raise self.error
                await self._wait()
        finally:
            self._sink = None

    def go_on(self) -> None:
        """Reads from the server again, if that was stopped."""
        if self._resume is not None:
            resume, self._resume = self._resume, None
            resume()

    def framed(self) -> bool:
        """Whether the answer said where it ends: by a length, or in chunks."""
        for name, value in self.headers:
            if name == b"content-length" or (name == b"transfer-encoding" and value.lower().endswith(b"chunked")):
                return True
        return False

    # What the parser does with it.

    def on_message_begin(self) -> None:
        if self.complete:
            raise BadResponse("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # Afterwards these are trailers, which nobody here needs.
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self.headers = []  # An interim answer: the real one follows.
            return
        if not 200 <= status < 600:
            raise BadResponse(f"status {status}")
        self.status = status
        if self._head_only:
            # The parser now waits for a body that never comes, so it cannot serve another request.
            self.complete = True
        else:
            self.keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self._pieces.append(body)
            self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = True

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._buffered = 0
        return data

    def _hand_on(self) -> None:
        if not self._pieces or self._sink is None or self.complete:
            return
        if self._sink(self._take()):
            self.go_on()  # More than fits may have come before there was a sink.
        else:
            self._stop_reading()

    @abc.abstractmethod
    def _stop_reading(self) -> None:
        """Until somebody goes on."""

    def _wait(self) -> asyncio.Future[None]:
        waiter = self._waiter = self._loop.create_future()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
