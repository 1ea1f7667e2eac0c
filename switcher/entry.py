"""One member as the switcher keeps it: state, queue, running step, failures; every change of state goes through here.
Kept by `switcher.roster`, driven by `switcher.turns`.
"""

import asyncio
import logging
from collections.abc import Coroutine
from math import ceil
from typing import Any

from switcher.backoff import Backoff
from switcher.driver import Driver
from switcher.exceptions import Unavailable
from switcher.schedule import Away
from switcher.series import Series
from switcher.spec import Member, Tier
from switcher.states import GONE, IN_USE, TRANSITIONS, IllegalTransition, State
from switcher.steps import Outcome, Walk
from switcher.tickets import Clock, Line, Stir
from switcher.timeline import Timeline
from switcher.view import NEVER, Seen, Want

log = logging.getLogger("switcher")

# Of a switch that was never measured.
ASSUMED_SECONDS = 1.0
# What a member's way back and forth is made of; by whether it is stopped.
ROUND_TRIP = {True: ("start", "stop"), False: ("wake", "sleep")}


class Order:
    """An operator's: put it away. Several may wait for the same."""

    __slots__ = ("done", "tier")

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self.done: asyncio.Future[State] = asyncio.get_running_loop().create_future()

    def end(self, state: State) -> None:
        if not self.done.done():
            self.done.set_result(state)

    def refuse(self, refusal: Unavailable) -> None:
        if not self.done.done():
            self.done.set_exception(refusal)
            self.done.exception()


class Entry:
    def __init__(self, member: Member, driver: Driver, clock: Clock, timeline: Timeline, stir: Stir) -> None:
        self.member = member
        self.driver = driver
        self.series = Series()
        self.line = Line(member.name, driver, clock, stir, self.series)
        self.line.concurrency = member.concurrency
        self.backoff = Backoff()
        self.state = State.STOPPED
        self.since = clock()
        self.awake_since = 0.0
        self.left = -NEVER
        self.error = ""  # the last
        self.blocked = ""  # why it is not its turn, in words
        self.coming = False
        self.want: Want | None = None
        self.order: Order | None = None
        self.away: Away | None = None  # where it goes, while it leaves; and for whom it went
        self.asleep_in = Tier.STOPPED
        # A reload's: what takes its place once it has stopped, or that nothing does.
        self.next: tuple[Member, Driver] | None = None
        self.removed = False
        # While it drains.
        self.drain_until = NEVER
        self.ended: float | None = None  # when its running requests were ended
        self._job: asyncio.Task[Outcome] | None = None
        self._ending: asyncio.Task[str] | None = None
        self._costs: dict[str, float] = {}
        self._clock = clock
        self._timeline = timeline
        self._stir = stir

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def busy(self) -> str:
        """Why it must not be put away now; a step of ours pauses it as well."""
        return (self.driver.busy_reason() or "") if self.state in IN_USE else ""

    def seen(self) -> Seen:
        leaving = self.removed or self.next is not None
        return Seen(
            self.member,
            self.state,
            awake_since=self.awake_since,
            idle_since=self.line.idle_since,
            in_flight=self.line.in_flight,
            queued=len(self.line),
            oldest=self.line.oldest,
            left=self.left,
            round_trip=self._round_trip(),
            used=self.line.used,
            busy=self.busy,
            want=self.want,
            order=Tier.STOPPED if leaving else self.order.tier if self.order else None,
            yields=bool(self.away and self.away.successor) and self.ended is None and not leaving and not self.order,
        )

    def become(self, state: State, why: str) -> None:
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(f"{self.name} cannot go from {self.state} to {state} ({why})")
        now, before = self._clock(), self.state
        log.info("%s: %s -> %s (%s; after %.1f s)", self.name, before, state, why, now - self.since)
        self._timeline.add(self.name, before, state, why, now - self.since)
        self.state, self.since = state, now
        if state in GONE:
            self.line.forget()
        self._stir.now()

    def replace(self) -> None:
        """A reload's process takes the place of the one that has stopped."""
        assert self.next is not None
        (self.member, self.driver), self.next = self.next, None
        self.line.driver, self.line.concurrency = self.driver, self.member.concurrency
        # What the old one failed of may be mended, and what it took is not what this one takes.
        self.backoff.clear()
        self._costs.clear()

    # Its steps.

    def wake(self) -> None:
        asleep = self.state is State.ASLEEP
        self.become(State.WAKING if asleep else State.STARTING, "its turn" if len(self.line) else "no request waits")
        self._run(self._walk().bring(asleep=asleep))

    def leave(self, away: Away) -> None:
        """It takes no more requests; `go` follows when it is idle."""
        self.away, self.line.is_open = away, False
        if self.state is State.AWAKE:
            self.drain_until, self.ended = NEVER, None
            self.become(State.DRAINING, away.why)

    def end_running(self) -> None:
        """Its drain has lasted for as long as it may."""
        self.ended = self._clock()
        self._ending = asyncio.create_task(self._walk().abort())
        self._ending.add_done_callback(lambda _: self._stir.now())

    def go(self, tier: Tier, why: str) -> None:
        if self.state is State.DRAINING:
            seconds = {"drain": self._clock() - self.since}
            self.series.stepped(seconds | ({"abort": self._clock() - self.ended} if self.ended is not None else {}))
        self._stop_ending()
        self.asleep_in, start = tier, self._job if self.state is State.STARTING else None
        if start is None:
            self.left = self._clock()
        self.become(State.SLEEPING, why)
        self._run(self._walk().give_up(start) if start else self._walk().put_away(tier))

    def stay(self, why: str) -> None:
        self._stop_ending()
        self.away, self.ended = None, None
        self.become(State.AWAKE, why)
        self.line.reopen()

    def died(self) -> None:
        """Its process ended by itself. One that was asleep harmed nobody, and is not started into a full device."""
        was_awake = self.state is not State.ASLEEP
        self._stop_ending()
        self.line.is_open = False
        cause = f"its process ended while it was {self.state}"
        self.error = cause
        self.become(State.SLEEPING, cause)
        self._run(self._walk().bury(State.BACKOFF if was_awake else State.STOPPED, cause))

    def ended_step(self) -> Outcome | None:
        """What came of the step that ran, once."""
        if self._job is None or not self._job.done():
            return None
        job, self._job = self._job, None
        outcome = job.result()
        self._costs |= outcome.seconds
        self.series.stepped(outcome.seconds)
        if outcome.failed:
            self.series.failures[outcome.failed] += 1
            self.error = outcome.cause
            log.warning("%s: its %s failed: %s", self.name, outcome.failed, outcome.cause)
        return outcome

    def woke(self) -> None:
        self.awake_since, self.want, self.away, self.error = self._clock(), None, None, ""
        self.series.wakes += 1
        self.become(State.AWAKE, "it is ready")
        self.line.open()

    def failed(self, cause: str, *, was_awake: bool) -> None:
        seconds = self.backoff.fail(self._clock(), self.awake_since if was_awake else None)
        self.become(State.BACKOFF, cause)
        self.end_order()
        self.line.refuse_all(self.refusal)
        log.warning("%s: not tried again for %g s", self.name, seconds)

    def rest(self, state: State, why: str) -> None:
        self.become(state, why)
        if self.order and (state is State.STOPPED or self.order.tier is not Tier.STOPPED):
            self.end_order()

    def end_order(self) -> None:
        if self.order:
            order, self.order = self.order, None
            order.end(self.state)

    def refusal(self) -> Unavailable:
        left = max(1, ceil(self.backoff.until - self._clock()))
        return Unavailable(503, f"The model {self.name!r} could not be served: {self.error}. Please retry.", left)

    def close(self) -> list[asyncio.Task[Any]]:
        """The switcher ends: its tasks, cancelled."""
        tasks: list[asyncio.Task[Any]] = [task for task in (self._job, self._ending) if task is not None]
        for task in tasks:
            task.cancel()
        return tasks

    def _round_trip(self) -> float:
        stops = self.member.tier is Tier.STOPPED or not self.driver.can_sleep()
        costs = [self._costs[phase] for phase in ROUND_TRIP[stops] if phase in self._costs]
        return sum(costs) if costs else ASSUMED_SECONDS

    def _walk(self) -> Walk:
        return Walk(self.driver, self.member, self._clock, self._tell)

    def _tell(self, cause: str) -> None:
        self.error = cause
        log.warning("%s: %s", self.name, cause)

    def _run(self, steps: Coroutine[Any, Any, Outcome]) -> None:
        self._job = asyncio.create_task(steps)
        self._job.add_done_callback(lambda _: self._stir.now())

    def _stop_ending(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
