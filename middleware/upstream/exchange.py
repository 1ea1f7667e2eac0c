"""One request and its answer: takes a connection, replaces a stale one, gives it back or closes it.
Made by `middleware.proxy` for each request; `abort` may be called from another task at any time.
"""

import asyncio
import time

from middleware.errors_log import RECORD
from middleware.upstream.connection import Connection
from middleware.upstream.exceptions import Aborted, UpstreamClosed
from middleware.upstream.pool import Pool

# A server that closes an idle connection while our request is on its way does so at once. One that closes later
# has worked on the request and died of it: sending it again would double the work, or kill the next server too.
STALE_SECONDS = 1.0


class Exchange:
    """See the package's docstring for its use; `write` and `end` are for bodies that are sent as they come."""

    __slots__ = ("_aborted", "_chunked", "_connection", "_pool", "_replay", "_sent_at", "_whole")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection: Connection | None = None
        self._replay: tuple[bytes, bytes, bool] | None = None
        self._sent_at = 0.0
        self._whole = True
        self._chunked = False
        self._aborted = False

    async def open(
        self, head: bytes, body: bytes = b"", *, head_only: bool = False, whole: bool = True, chunked: bool = False
    ) -> None:
        """Connects and sends. Without `whole`, `write` sends the rest of the body and `end` ends it."""
        if (record := RECORD.get()) is not None:
            record.opened(body)
        connection = None
        if whole:
            connection = self._pool.take_idle()
            if connection is not None:
                self._replay = (head, body, head_only)
                self._sent_at = time.monotonic()
        if connection is None:  # Also for a body that could not be sent a second time: no idle connection is certain.
            connection = await self._pool.connect()
        self._whole = whole
        self._chunked = chunked
        self._begin(connection, head, _chunk(body) if chunked else body, head_only=head_only)

    async def answer(self, *, within: float | None = None) -> Connection:
        """Waits for the answer's status and headers: for ever, or so many seconds and then NoAnswer."""
        if within is None:
            return await self._answer()
        clock = asyncio.get_running_loop().call_later(within, self._give_up, within)
        try:
            return await self._answer()
        finally:
            clock.cancel()

    def _give_up(self, seconds: float) -> None:
        if self._connection is not None:
            self._connection.give_up(seconds)

    async def _answer(self) -> Connection:
        connection = self._connection
        if connection is None:
            raise Aborted("closed from our side")
        try:
            await connection.head()
        except UpstreamClosed:
            if not self._stale(connection):
                raise
        else:
            self._replay = None
            return connection
        head, body, head_only = self._replay or (b"", b"", False)
        self._replay = None
        connection = await self._pool.connect()
        self._begin(connection, head, body, head_only=head_only)
        await connection.head()
        return connection

    async def write(self, data: bytes) -> None:
        if (record := RECORD.get()) is not None and record.sent is not None:
            record.sent.add(data)
        if self._connection is not None and data:
            await self._connection.write(_chunk(data) if self._chunked else data)

    async def end(self) -> None:
        if self._connection is not None and self._chunked:
            await self._connection.write(b"0\r\n\r\n")
        self._whole = True

    def abort(self) -> None:
        """The client is gone: whoever waits for the answer gets `Aborted`, and the server sees a closed connection."""
        self._aborted = True
        if self._connection is not None:
            self._connection.abort()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if connection.complete and self._whole:
            self._pool.give_back(connection)
        else:
            connection.abort()

    def _begin(self, connection: Connection, head: bytes, body: bytes, *, head_only: bool) -> None:
        if self._aborted:
            connection.abort()
            raise Aborted("closed from our side")
        self._connection = connection
        connection.begin(head, body, head_only=head_only)

    def _stale(self, connection: Connection) -> bool:
        elapsed = time.monotonic() - self._sent_at
        return self._replay is not None and connection.silent and elapsed < STALE_SECONDS


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
