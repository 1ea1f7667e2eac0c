"""An event loop whose clock stands still while there is something to do, and leaps to the next timer when there is not.
Hours of the switcher's life pass in a second, the same each time; a wait that nothing can end is an error at once.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class Wedged(AssertionError):
    """Everybody waits, and nothing will ever happen."""


class _Leaping(selectors.SelectSelector):
    """There are no sockets: to wait for them is to let the time pass."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Wedged("everybody waits, and nothing will ever happen")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


def run(story: Coroutine[Any, Any, Any]) -> None:
    """A test's coroutine, in time of its own."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(story)
