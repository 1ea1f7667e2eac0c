"""Work that runs once for all who ask for it meanwhile: who asks again has lost its answer, and gets the same one.
Held by `middleware.weights.update` for weights and by `middleware.adapters` for those of prime-rl.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any


class Together:
    """await together(key, work)     # `work` is not called while that of the same key runs

    Who leaves stops nothing.
    """

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[None]] = {}

    async def __call__(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(work())
            task.add_done_callback(partial(self._done, key))
        await asyncio.shield(task)

    def _done(self, key: Hashable, task: asyncio.Task[None]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # Seen, though the client may have left.
