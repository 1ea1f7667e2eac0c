"""The connections to one server: idle ones are used again, the most recent first.
`Exchange` takes from it and gives back; the application makes one and closes it at its end.
"""

import asyncio

from middleware.upstream.connection import Connection
from middleware.upstream.exceptions import ConnectFailed

CONNECT_SECONDS = 5.0


class Pool:
    """Without a limit: a queue in here would be invisible to the engine's own count of waiting requests.

    pool = Pool("127.0.0.1", 8001)
    pool = Pool("127.0.0.1", 8001, connect_seconds=0.5)
    pool = Pool.unix("/run/server.sock")
    """

    __slots__ = ("_connect_seconds", "_idle", "authority", "host", "path", "port", "within")

    def __init__(self, host: str, port: int, *, connect_seconds: float = CONNECT_SECONDS) -> None:
        self.host = host
        self.port = port
        self.path = ""
        self.authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.within: float | None = None  # seconds for an answer's head, of requests without a limit of their own
        self._connect_seconds = connect_seconds
        # An ordered set: the last one in is the first one out, and one that dies leaves from the middle.
        self._idle: dict[Connection, None] = {}

    @classmethod
    def unix(cls, path: str, *, connect_seconds: float = CONNECT_SECONDS) -> "Pool":
        pool = cls("localhost", 0, connect_seconds=connect_seconds)
        pool.path, pool.authority = path, "localhost"
        return pool

    @property
    def idle_count(self) -> int:
        return len(self._idle)

    def take_idle(self) -> Connection | None:
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.reusable:
                return connection
        return None

    async def connect(self) -> Connection:
        where = self.path or self.authority
        try:
            async with asyncio.timeout(self._connect_seconds):
                return await self._connected()
        except TimeoutError as exc:
            raise ConnectFailed(f"no connection to {where} within {self._connect_seconds:g} s") from exc
        except OSError as exc:
            raise ConnectFailed(f"no connection to {where}: {exc.strerror or exc}") from exc

    def give_back(self, connection: Connection) -> None:
        if connection.reusable:
            connection.rest()
            self._idle[connection] = None
        else:
            connection.abort()

    def close(self) -> None:
        while self._idle:
            connection, _ = self._idle.popitem()
            connection.abort()

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        if self.path:
            _, connection = await loop.create_unix_connection(lambda: Connection(self._forget), self.path)
        else:
            _, connection = await loop.create_connection(lambda: Connection(self._forget), self.host, self.port)
        return connection

    def _forget(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
