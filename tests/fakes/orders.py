"""/abort_request and /flush_cache of the stand-in, as SGLang 0.5.23 obeys them.
Used by `tests.fakes.engine`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re

OPEN = re.compile(rb'"finish_reason":\s*null')
CLOSED = re.compile(rb'"finish_reason":\s*(?:"\w+"|\{[^}]*\})')
ABORTED = b'"finish_reason":"abort"'
FLUSHED = (
    b"Cache flushed.\nPlease check backend logs for more details. "
    b"(When there are running or waiting requests, the operation will not be performed.)\n"
)
NOT_FLUSHED = b"Flush cache failed.\n"


class Abort:
    """One for all that runs; what comes after it was given has another."""

    def __init__(self) -> None:
        self._came = asyncio.Event()

    def give(self) -> None:
        self._came.set()

    async def within(self, seconds: float) -> None:
        if seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._came.wait(), seconds)

    def cuts(self, line: bytes) -> bool:
        """Whether this token is no longer made."""
        return self._came.is_set() and OPEN.search(line) is not None

    def marks(self, answer: bytes) -> bytes:
        return CLOSED.sub(ABORTED, answer) if self._came.is_set() else answer
