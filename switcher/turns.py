"""One look at everything: what steps ended, who died or drained, what the schedule decides; then all move on.
Called by `Switcher.run` after every event, and it is all that changes a state.
"""

from collections.abc import Iterable
from functools import partial

from switcher import closing
from switcher.entry import Entry
from switcher.exceptions import RETRY_SECONDS, Unavailable
from switcher.fits import meet
from switcher.roster import Roster
from switcher.schedule import AT_ONCE, decide
from switcher.spec import Tier
from switcher.states import RESTING, RUNNING, State
from switcher.steps import ABORT_SECONDS, Outcome
from switcher.view import NEVER, View, Want

# How long those who were told to end may take to; then the process is stopped.
ENDING_SECONDS = 2 * ABORT_SECONDS


class Turns:
    """look(now) -> the time of the next look, unless something happens before."""

    __slots__ = ("_preloads", "_roster")

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._preloads: list[str] = []

    def preload(self, names: Iterable[str]) -> None:
        """Those of them that are to be, beside those that have not had their turn."""
        asked = {*names, *self._preloads}
        self._preloads = [name for name in self._roster.preloads() if name in asked]

    def look(self, now: float) -> float:
        roster = self._roster
        entries = list(roster.entries.values())
        for entry in entries:
            if outcome := entry.ended_step():
                self._took(entry, outcome)
            elif entry.state in RUNNING and not entry.driver.alive():
                self._died(entry)
            elif entry.state is State.BACKOFF and (now >= entry.backoff.until or entry.order):
                entry.rest(State.STOPPED, "it may be tried again")
        roster.settle()
        later = [entry.backoff.until for entry in entries if entry.state is State.BACKOFF]
        if roster.closing:
            closing.look(roster)
        else:
            later.append(self._decide(now))
        later += [self._drain(entry, now) for entry in entries if entry.state is State.DRAINING]
        return min(later, default=NEVER)

    def _took(self, entry: Entry, outcome: Outcome) -> None:
        if outcome.ending:
            closing.begin(self._roster)
            self._roster.finishing.clear()
        if outcome.state is State.AWAKE and entry.state is State.SLEEPING:
            entry.stay(closing.WHY)
        elif outcome.state is State.AWAKE:
            entry.woke()
            self._nobody_returns_beside(entry)
        elif outcome.state is State.BACKOFF:
            was_awake = entry.state is State.SLEEPING
            entry.failed(outcome.cause, was_awake=was_awake)
            if not was_awake:
                entry.want = None
                self._roster.return_those_put_away_for(entry.name)
        else:
            entry.rest(outcome.state, "it is gone from its devices")
            self._default_returns(entry)

    def _died(self, entry: Entry) -> None:
        if entry.state is not State.ASLEEP and not entry.order:
            # It served: it comes back by itself, as far as nobody has to make place for it.
            entry.want = Want.RETURN
        if entry.state is not State.ASLEEP:
            entry.away = None
        entry.died()

    def _nobody_returns_beside(self, awake: Entry) -> None:
        for entry in self._roster.entries.values():
            if entry.want is Want.RETURN and meet(entry.member, awake.member):
                entry.want = None
                self._default_returns(entry)

    def _default_returns(self, entry: Entry) -> None:
        """The default that was put away for others, not by order and not for its ttl."""
        was_for_others = entry.away is not None and entry.away.successor
        if was_for_others and self._roster.is_default(entry) and entry.want is None:
            entry.want = Want.DEFAULT

    def _decide(self, now: float) -> float:
        entries = self._roster.entries
        self._next_preload()
        decision = decide(View(now, self._roster.mux, tuple(entry.seen() for entry in entries.values())))
        for entry in entries.values():
            entry.blocked = decision.blocked.get(entry.name) or decision.hopeless.get(entry.name, "")
            entry.coming = entry.name in decision.coming
        for name in decision.back:
            entries[name].stay("nobody needs its place any more")
        for away in decision.away:
            entries[away.name].leave(away)
            if entries[away.name].state in AT_ONCE:
                entries[away.name].go(Tier.STOPPED, away.why)
        for name in decision.wake:
            entries[name].wake()
        for name, why in decision.hopeless.items():
            entries[name].want = None
            refusal = partial(Unavailable, 503, f"The model {name!r} cannot be served now: {why}.", RETRY_SECONDS)
            entries[name].line.refuse_all(refusal)
        return decision.look_at

    def _next_preload(self) -> None:
        """One after another; one that cannot come now does not hold up the next."""
        entries = self._roster.entries
        under_way = any(entry.want is Want.PRELOAD and not entry.blocked for entry in entries.values())
        for name in list(self._preloads):
            entry = entries[name]
            # Of a changed one the old process is not what is to be preloaded.
            if under_way or entry.next is not None:
                continue
            self._preloads.remove(name)
            if entry.state in RESTING:
                entry.want, under_way = Want.PRELOAD, True

    def _drain(self, entry: Entry, now: float) -> float:
        """One that takes no more requests: gone when it is idle, or when it had its time."""
        away, reloading = entry.away, entry.removed or entry.next is not None
        assert away is not None
        if (busy := entry.busy) and not reloading:
            if entry.order:
                entry.order.refuse(Unavailable(409, f"{entry.name} cannot be put away now: {busy}."))
                entry.order = None
            entry.stay(busy)
        elif not entry.line.in_flight and not busy:
            spilled = away.tier is Tier.CPU and not self._roster.host_memory_left(entry)
            why = f"{away.why}; the host's memory is full" if spilled else away.why
            entry.go(Tier.STOPPED if spilled else away.tier, why)
        elif entry.ended is not None:
            if now < entry.ended + ENDING_SECONDS:
                return entry.ended + ENDING_SECONDS
            entry.go(Tier.STOPPED, "its requests did not end")
        elif entry.drain_until == NEVER:
            if not reloading or self._is_waited_for(entry):
                entry.drain_until = now + entry.member.drain_seconds
            return entry.drain_until
        elif now >= entry.drain_until:
            entry.end_running()
        else:
            return entry.drain_until
        return NEVER

    def _is_waited_for(self, entry: Entry) -> bool:
        """A reload drops no request, as long as nobody else has to wait for it."""
        return any(len(other.line) and meet(other.member, entry.member) for other in self._roster.entries.values())
