"""The requests of one member that run, so that all of them can be ended with a proper error.
Filled by `middleware.mux.front`, ended by the member's driver when its drain has lasted too long.
"""

import asyncio

from middleware.relay import Why

ABORTED = "The model was needed elsewhere before the answer was finished. Please retry."


class Running:
    """with running: ...             # this task, until the block ends
    await running.end("why")       # each is cancelled with these words, which `middleware.relay` says to the client
    """

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)

    def __exit__(self, *failure: object) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.discard(task)

    async def end(self, why: str) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel(Why(why))
        if tasks:
            await asyncio.wait(tasks)
