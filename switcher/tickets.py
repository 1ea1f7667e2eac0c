"""A member's queue: tickets wait, leases are places at the awake member, and who leaves only removes himself.
Made by `Switcher.ticket`; nothing here waits for a lock, so a caller may be cancelled at any await.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

from switcher.driver import Driver
from switcher.exceptions import Unavailable
from switcher.series import Series

Clock = Callable[[], float]


class Stir(NamedTuple):
    """Who is told that something happened, and that one which stays awake has nothing to do."""

    now: Callable[[], None]
    idle: Callable[[], None]


class Lease:
    """A place at an awake member, released once: by the end of a `with` at the latest.

    `driver` is the one of the very process: after a reload there may be two of one name.
    """

    __slots__ = ("_generation", "_line", "driver", "name")

    def __init__(self, line: "Line", driver: Driver) -> None:
        self.name = line.name
        self.driver = driver
        self._generation = line.generation
        self._line: Line | None = line

    def release(self) -> None:
        if self._line is not None:
            line, self._line = self._line, None
            line.released(self._generation)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.release()


class Ticket:
    """A place in a line. Decided once: granted, refused, or left by its owner."""

    __slots__ = ("_future", "_line", "_taken", "_timer", "came")

    def __init__(self, line: "Line", came: float) -> None:
        self.came = came
        self._line = line
        self._future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._taken = False

    def place(self) -> int:
        """1 is next; 0: it is decided."""
        return 0 if self._future.done() else self._line.place_of(self)

    async def settled(self, seconds: float) -> bool:
        """Waits so long, and stays in the line: whether `granted` would answer at once."""
        await asyncio.wait([self._future], timeout=seconds)
        return self._future.done()

    async def granted(self) -> Lease:
        """The lease, or Unavailable; who is cancelled meanwhile has left."""
        try:
            if not self._future.done():
                await asyncio.wait([self._future])
        except asyncio.CancelledError:
            self.leave()
            raise
        lease = self._future.result()
        self._taken = True
        return lease

    def leave(self) -> None:
        """Harmless at any time: it gives back what was granted and not taken."""
        if not self._future.done():
            self._stop_timer()
            self._future.cancel()
            self._line.left(self)
        elif not self._taken and not self._future.cancelled() and self._future.exception() is None:
            self._future.result().release()

    def expire_after(self, seconds: float, refusal: Callable[[], Unavailable]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, lambda: self._line.refuse_one(self, refusal()))

    def grant(self, lease: Lease) -> None:
        self._stop_timer()
        self._future.set_result(lease)

    def refuse(self, refusal: Unavailable) -> None:
        self._stop_timer()
        self._future.set_exception(refusal)
        # Nobody need ask: a client that has gone is no error of ours.
        self._future.exception()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class Line:
    """Those who wait for one member, and how many it serves; first come, first served."""

    __slots__ = (
        "_clock",
        "_stir",
        "_waiting",
        "concurrency",
        "driver",
        "generation",
        "idle_since",
        "in_flight",
        "is_open",
        "name",
        "series",
        "used",
    )

    def __init__(self, name: str, driver: Driver, clock: Clock, stir: Stir, series: Series) -> None:
        self.name = name
        self.driver = driver
        self.concurrency = 0
        self.generation = 0  # of its process
        self.in_flight = 0
        self.is_open = False  # set by the one who owns the state
        self.used = False  # since it was opened
        self.idle_since = clock()
        self.series = series
        self._clock = clock
        self._stir = stir
        self._waiting: dict[Ticket, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def oldest(self) -> float:
        return next(iter(self._waiting)).came if self._waiting else float("inf")

    @property
    def has_room(self) -> bool:
        """For one who comes now: nobody waits before him."""
        return self.is_open and not self._waiting and (not self.concurrency or self.in_flight < self.concurrency)

    def join(self) -> Ticket:
        ticket = Ticket(self, self._clock())
        if self.has_room:
            self._let_in(ticket)
        else:
            self._waiting[ticket] = None
            self._stir.now()
        return ticket

    def admit(self) -> None:
        while self._waiting and self.is_open and (not self.concurrency or self.in_flight < self.concurrency):
            ticket = next(iter(self._waiting))
            del self._waiting[ticket]
            self._let_in(ticket)

    def open(self) -> None:
        self.is_open, self.used, self.idle_since = True, False, self._clock()
        self.admit()

    def reopen(self) -> None:
        self.is_open = True
        self.admit()

    def refuse_all(self, refusal: Callable[[], Unavailable]) -> None:
        for ticket in list(self._waiting):
            self.refuse_one(ticket, refusal())

    def refuse_one(self, ticket: Ticket, refusal: Unavailable) -> None:
        if ticket in self._waiting:
            del self._waiting[ticket]
            self.series.refusals[refusal.status] += 1
            ticket.refuse(refusal)
            self._stir.now()

    def place_of(self, ticket: Ticket) -> int:
        return next((place for place, each in enumerate(self._waiting, 1) if each is ticket), 0)

    def left(self, ticket: Ticket) -> None:
        if self._waiting.pop(ticket, self) is None:
            self._stir.now()

    def forget(self) -> None:
        """The process is gone, and with it whom it served: a client that does not read may keep his lease for long."""
        self.generation, self.in_flight = self.generation + 1, 0

    def released(self, generation: int) -> None:
        if generation != self.generation:
            return
        self.in_flight -= 1
        self.admit()
        if not self.in_flight:
            self.idle_since = self._clock()
            (self._stir.idle if self.is_open else self._stir.now)()

    def _let_in(self, ticket: Ticket) -> None:
        self.in_flight += 1
        self.used = True
        self.series.waits.observe(max(0.0, self._clock() - ticket.came))
        ticket.grant(Lease(self, self.driver))
