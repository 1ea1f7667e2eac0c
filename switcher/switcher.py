"""The switcher: requests ask it for a lease of a model, operators give it orders, and one task does what follows.
Made by `middleware.mux`, which runs `run` for as long as it serves.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from math import ceil

from switcher import closing, orders, snapshot
from switcher.driver import Driver
from switcher.entry import Entry
from switcher.exceptions import RETRY_SECONDS, Unavailable
from switcher.roster import Roster
from switcher.snapshot import Snapshot
from switcher.spec import Mux, Tier
from switcher.states import State
from switcher.tickets import Clock, Lease, Ticket
from switcher.turns import Turns

log = logging.getLogger("switcher")

# How often it looks whether the members' processes live, and whether one is still not to be put away.
POLL_SECONDS = 0.5
OVER = "The server is shutting down."


class Switcher:
    """with await switcher.lease("llama"): ...

    A request's own coming, waiting and leaving change nothing but its place; all else is done by `run`.
    """

    def __init__(self, mux: Mux, drivers: Mapping[str, Driver], clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._event = asyncio.Event()
        self._roster = Roster(clock, self._event.set)
        self._turns = Turns(self._roster)
        self._lookers: list[asyncio.Future[None]] = []
        self._faults = 0
        self._is_over = False
        self._roster.take(mux, drivers)

    async def run(self) -> None:
        self._turns.preload(self._roster.entries)
        try:
            while True:
                self._event.clear()
                seconds = self._look()
                if not self._event.is_set():
                    try:
                        async with asyncio.timeout(seconds):
                            await self._event.wait()
                    except TimeoutError:
                        pass
        finally:
            self._is_over = True
            for entry in self._roster.entries.values():
                entry.line.refuse_all(_over)
            tasks = [task for entry in self._roster.entries.values() for task in entry.close()]
            await asyncio.gather(*tasks, return_exceptions=True)

    # For requests.

    def ticket(self, name: str, *, seconds: float | None = None) -> Ticket:
        """A place in the queue of the model of this name or alias, for so long at most; or Unavailable."""
        entry = self._roster.find(name)
        if refusal := self._refusal(entry):
            entry.series.refusals[refusal.status] += 1
            raise refusal
        ticket = entry.line.join()
        if ticket.place():
            limit = self._roster.mux.request_seconds if seconds is None else seconds
            ticket.expire_after(limit, partial(_late, entry, limit))
        return ticket

    async def lease(self, name: str, *, seconds: float | None = None) -> Lease:
        ticket = self.ticket(name, seconds=seconds)
        return await ticket.granted()

    def _refusal(self, entry: Entry) -> Unavailable | None:
        if self._is_over:
            return _over()
        if self._roster.closing and not closing.serves(self._roster, entry):
            return closing.refusal(entry)
        if entry.state is State.BACKOFF:
            return entry.refusal()
        if entry.line.has_room:
            return None
        retry = max(1, ceil(entry.seen().round_trip))
        if len(entry.line) >= entry.member.queue_limit:
            limit = entry.member.queue_limit
            return Unavailable(429, f"The queue of the model {entry.name!r} is full ({limit}). Please retry.", retry)
        if self._roster.queued() >= self._roster.mux.queue_limit:
            limit = self._roster.mux.queue_limit
            return Unavailable(429, f"The queues of all models together are full ({limit}). Please retry.", retry)
        return None

    # For operators.

    async def load(self, name: str) -> State:
        """Awake, in its turn; it stays for as long as a model stays that nobody asks."""
        with await self.lease(name):
            return State.AWAKE

    async def put_to_sleep(self, name: str) -> State:
        """To its tier. The state it came to: one that cannot sleep is stopped."""
        entry = self._roster.find(name)
        return await self._put_away(entry, entry.member.tier)

    async def unload(self, name: str) -> State:
        """Stopped, when its running requests have ended or had their time. The next request starts it again."""
        return await self._put_away(self._roster.find(name), Tier.STOPPED)

    async def _put_away(self, entry: Entry, tier: Tier) -> State:
        if self._roster.closing:
            raise closing.refusal(entry)
        order = orders.put_away(entry, tier)
        self.look()
        return entry.state if order is None else await orders.ended(order)

    async def reload(self, mux: Mux, drivers: Mapping[str, Driver]) -> None:
        """Of a member whose process stays the same the new driver is not used."""
        self._turns.preload(self._roster.take(mux, drivers))

    def end_switching(self) -> None:
        """For good, as the whole server ends: who is awake serves on, who waits for another is told at once."""
        closing.begin(self._roster)
        self.look()

    def look(self) -> None:
        """Something happened: look now, not at the next poll."""
        self._event.set()

    # For who watches.

    def snapshot(self) -> Snapshot:
        return snapshot.take(self._roster, self._clock, self._faults)

    async def subscribe(self, seconds: float = 1.0) -> AsyncIterator[Snapshot]:
        """A snapshot now, at each change of a state, and otherwise every so many seconds."""
        while True:
            now = self.snapshot()
            yield now
            try:
                async with asyncio.timeout(seconds):
                    while self._roster.timeline.changes() == now.timeline:
                        await self._next_look()
            except TimeoutError:
                pass

    def _look(self) -> float:
        """The seconds until it has to look again."""
        now = self._clock()
        try:
            seconds = min(POLL_SECONDS, self._turns.look(now) - now)
        except Exception:
            # One fault of ours must not end the service of all models.
            log.exception("a look at the models failed")
            self._faults += 1
            seconds = POLL_SECONDS
        lookers, self._lookers = self._lookers, []
        for looker in lookers:
            if not looker.done():
                looker.set_result(None)
        return seconds

    async def _next_look(self) -> None:
        looker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lookers.append(looker)
        await looker


def _over() -> Unavailable:
    return Unavailable(503, OVER, RETRY_SECONDS)


def _late(entry: Entry, seconds: float) -> Unavailable:
    why = entry.blocked or entry.error or f"it is {entry.state}"
    sentence = f"The model {entry.name!r} could not be served within {seconds:g} s: {why}. Please retry."
    return Unavailable(503, sentence, RETRY_SECONDS)
