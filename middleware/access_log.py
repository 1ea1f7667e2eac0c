"""The access log: uvicorn's lines as vLLM has them, and which requests it tells of. Written once a turn of the event
loop: through Python's logging, with a system call for each, the lines cost half as much again as the requests.
Given to `middleware.client` by `middleware.__main__`.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus

from middleware.masking import Mask

# haproxy asks it three times a second, and answers everybody else's /health itself.
NEVER = frozenset({"/health"})
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def to_stderr(text: str) -> None:
    sys.stderr.flush()
    data = text.encode(errors="backslashreplace")
    while data:
        data = data[os.write(sys.stderr.fileno(), data) :]


class AccessLog:
    """Leaves paths out, as vLLM's --disable-access-log-for-endpoints does, every query, as it may hold a key, and our
    own keys wherever they are."""

    __slots__ = ("_excluded", "_lines", "_mask", "_write")

    def __init__(
        self, excluded: Iterable[str], write: Callable[[str], None] = to_stderr, mask: Mask | None = None
    ) -> None:
        self._excluded = NEVER | frozenset(excluded)
        self._write = write
        self._mask = mask or Mask()
        self._lines: list[str] = []

    def info(self, _: str, client: str, method: str, target: str, version: str, status: int) -> None:
        """In the place of uvicorn's logger (0.54), which says so much of each answer."""
        path = target.partition("?")[0]
        if path in self._excluded:
            return
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        client = client.removeprefix("::ffff:")  # haproxy's word for an IPv4 client on a socket for both.
        path = self._mask.text(path)
        self._lines.append(
            f'INFO:     {client} - "{method} {path} HTTP/{version}" {status} {_PHRASES.get(status, "")}\n'
        )

    def flush(self) -> None:
        text = "".join(self._lines)
        self._lines.clear()
        with contextlib.suppress(OSError):  # As Python's logging: a log that cannot be written ends no request.
            self._write(text)
