"""The access log: uvicorn's lines, and which requests it tells of. Written once a turn of the event loop: through
Python's logging, with a system call for each, the lines cost half as much again as the requests.
Given to `middleware.client` by `middleware.__main__`.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable

# haproxy asks it three times a second, and answers everybody else's /health itself.
NEVER = frozenset({"/health"})


def to_stderr(text: str) -> None:
    sys.stderr.flush()
    data = text.encode(errors="backslashreplace")
    while data:
        data = data[os.write(sys.stderr.fileno(), data) :]


class AccessLog:
    """Leaves paths out, as vLLM's --disable-access-log-for-endpoints does, and every query: it may hold a key."""

    __slots__ = ("_excluded", "_lines", "_second", "_stamp", "_write")

    def __init__(self, excluded: Iterable[str], write: Callable[[str], None] = to_stderr) -> None:
        self._excluded = NEVER | frozenset(excluded)
        self._write = write
        self._lines: list[str] = []
        self._second = 0
        self._stamp = ""

    def info(self, _: str, client: str, method: str, target: str, version: str, status: int) -> None:
        """In the place of uvicorn's logger (0.54), which says so much of each answer."""
        path = target.partition("?")[0]
        if path in self._excluded:
            return
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        client = client.removeprefix("::ffff:")  # haproxy's word for an IPv4 client on a socket for both.
        stamp = f"{self._stamp},{int((now - second) * 1000):03d}"
        self._lines.append(f'{stamp} INFO {client} - "{method} {path} HTTP/{version}" {status}\n')

    def flush(self) -> None:
        text = "".join(self._lines)
        self._lines.clear()
        with contextlib.suppress(OSError):  # As Python's logging: a log that cannot be written ends no request.
            self._write(text)
