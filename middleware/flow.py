"""What goes on between us and SGLang, in a few numbers. Written by whoever sends the engine work (`middleware.proxy`,
`relay`, `calls`) and by who aborts it all (`control`, `endpoints.abort`), read by `stall`, the batch of chats, metrics.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

import msgspec

from middleware.fields.told import Told

T = TypeVar("T")

ABORT = "/abort_request"
ABORT_ALL = {"rid": "", "abort_all": True}


class Flow:
    """sent = flow.begin(2, told)    # work is with the engine, all of its body, of so many choices
    flow.end(sent, told)
    flow.last = time.monotonic()  # a byte of an answer came that is no error: those need no scheduler
    """

    __slots__ = ("aborting", "aborts", "active", "last", "requests", "running")

    def __init__(self) -> None:
        self.active = 0  # choices
        self.requests = 0
        self.last = 0.0
        self.aborts = 0  # orders to abort all that SGLang has taken
        self.aborting = 0  # that it is given just now
        self.running: dict[int, Told] = {}  # what may be aborted by its name

    def begin(self, choices: int, told: Told | None = None) -> int:
        self.active += choices
        self.requests += bool(choices)
        if told is not None and told.rid:
            self.running[id(told)] = told
        return choices

    def end(self, choices: int, told: Told | None = None) -> None:
        self.active -= choices
        self.requests -= bool(choices)
        self.running.pop(id(told), None)

    async def abort_all(self, order: Callable[[bytes], Awaitable[tuple[int, T]]]) -> tuple[int, T]:
        """The answer to `order`, which gives ABORT a body. What is still to be sent of a batch ends with it."""
        self.aborting += 1
        try:
            answer = await order(msgspec.json.encode(ABORT_ALL))
            self.aborts += answer[0] == HTTPStatus.OK
        finally:
            self.aborting -= 1
        return answer
