"""Who is put away and who wakes: a pure function of one frozen view, asked at every change.
Called by `switcher.turns`. Nothing is remembered between two calls: who was chosen is chosen again until it is awake.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from switcher.fits import has_room, meet
from switcher.residency import due, is_overdue
from switcher.spec import Member, Tier
from switcher.states import HOLDING, LEAVING, RESTING, State
from switcher.view import NEVER, Seen, View, Want

# They serve nobody: they are stopped without a drain.
AT_ONCE = frozenset({State.ASLEEP, State.STARTING})


@dataclass(frozen=True, slots=True)
class Away:
    name: str
    tier: Tier
    why: str
    successor: str = ""  # for whom


@dataclass(slots=True)
class Decision:
    wake: list[str] = field(default_factory=list)
    away: list[Away] = field(default_factory=list)
    back: list[str] = field(default_factory=list)  # they drain, and nobody needs their place any more
    coming: list[str] = field(default_factory=list)  # chosen; they wake, or wait until others are gone
    blocked: dict[str, str] = field(default_factory=dict)  # by whom, in words for the one who waits
    hopeless: dict[str, str] = field(default_factory=dict)  # the same, and it will not change by waiting
    look_at: float = NEVER  # nothing changes before, unless something happens


def decide(view: View) -> Decision:
    return _Turn(view).decided()


def reason(seen: Seen) -> Want | None:
    """Why it should wake now, if it should."""
    if seen.state not in RESTING or (seen.order is Tier.STOPPED and seen.state is State.ASLEEP):
        return None
    return Want.WAITERS if seen.queued else seen.want


class _Turn:
    __slots__ = ("_decision", "_held", "_reserved", "_staying", "_view")

    def __init__(self, view: View) -> None:
        self._view = view
        self._decision = Decision()
        self._held = [seen.member for seen in view.seen if seen.state in HOLDING]
        self._staying = [seen for seen in view.seen if seen.state in HOLDING - LEAVING]
        self._reserved: list[Member] = []

    def decided(self) -> Decision:
        for seen in self._view.seen:
            self._put_away_for_itself(seen)
        for seen, want in self._candidates():
            self._place(seen, want)
        for seen in self._view.seen:
            if seen.state is State.DRAINING and seen.yields and (seen.busy or self._has_place(seen.member)):
                self._decision.back.append(seen.name)
                self._staying.append(seen)
        return self._decision

    def _put_away_for_itself(self, seen: Seen) -> None:
        """By order, or idle for its ttl."""
        now, ttl = self._view.now, seen.member.ttl_seconds
        if seen.order and (seen.state is State.AWAKE or (seen.order is Tier.STOPPED and seen.state in AT_ONCE)):
            self._leave(seen, Away(seen.name, seen.order, "by order"))
        elif seen.state is State.AWAKE and ttl and seen.idle and not seen.busy:
            if now >= seen.idle_since + ttl:
                self._leave(seen, Away(seen.name, seen.member.tier, f"idle for {ttl:g} s"))
            else:
                self._look_at(seen.idle_since + ttl)

    def _candidates(self) -> list[tuple[Seen, Want]]:
        """Those who waited too long first; then, of each kind, who was away longest."""
        found = [(seen, want) for seen in self._view.seen if (want := reason(seen))]

        def rank(candidate: tuple[Seen, Want]) -> tuple[float, ...]:
            seen, want = candidate
            if is_overdue(seen, self._view.now):
                return (0, seen.oldest + seen.member.max_wait_seconds)
            return (want, seen.left, seen.oldest)

        return sorted(found, key=rank)

    def _place(self, seen: Seen, want: Want) -> None:
        if not self._has_place(seen.member) and not self._make_place(seen, want):
            return
        self._reserved.append(seen.member)
        self._decision.coming.append(seen.name)
        # Not before those who leave are proven gone.
        if has_room(seen.member, self._held, self._view.mux):
            self._held.append(seen.member)
            self._decision.wake.append(seen.name)

    def _has_place(self, member: Member) -> bool:
        return has_room(member, [*self._reserved, *_members(self._staying)], self._view.mux)

    def _make_place(self, seen: Seen, want: Want) -> bool:
        mux, view = self._view.mux, self._view
        met = [other for other in self._staying if meet(other.member, seen.member)]
        free = [other for other in met if other.state is State.AWAKE and not other.member.pin and not other.busy]
        times = {other.name: due(other, seen, want, view) for other in free}
        kept = [*self._reserved, *(other.member for other in met if other.name not in times)]
        if not has_room(seen.member, kept, mux):
            self._tell_who_blocks(seen, met)
            return False
        leaving = []
        # Who may be put away last is kept first.
        for other in sorted(free, key=lambda other: _worth(other, times), reverse=True):
            if has_room(seen.member, [other.member, *kept], mux):
                kept.append(other.member)
            else:
                leaving.append(other)
        when = max(times[other.name] for other in leaving)
        if when > view.now:
            self._look_at(when)
            self._decision.blocked[seen.name] = f"{_names(leaving)} is being served"
            self._keep_for(seen)
            return False
        for other in leaving:
            self._leave(other, Away(other.name, other.member.tier, f"for {seen.name}", seen.name))
        return True

    def _tell_who_blocks(self, seen: Seen, met: list[Seen]) -> None:
        pinned = [other for other in met if other.member.pin]
        busy = [other for other in met if other.busy]
        if not has_room(seen.member, _members(pinned), self._view.mux):
            self._decision.hopeless[seen.name] = f"its devices are taken by {_names(pinned)}, which is pinned"
        elif busy:
            self._decision.blocked[seen.name] = f"{busy[0].name} cannot be put away now: {busy[0].busy}"
        else:
            self._decision.blocked[seen.name] = "others are on their way to its devices"
            self._keep_for(seen)

    def _keep_for(self, seen: Seen) -> None:
        """Or small ones would take a part of its devices in turns, and its place would never be free."""
        if is_overdue(seen, self._view.now):
            self._reserved.append(seen.member)
        elif seen.queued:
            self._look_at(seen.oldest + seen.member.max_wait_seconds)

    def _leave(self, seen: Seen, away: Away) -> None:
        self._decision.away.append(away)
        self._staying = [other for other in self._staying if other is not seen]

    def _look_at(self, when: float) -> None:
        if when > self._view.now:
            self._decision.look_at = min(self._decision.look_at, when)


def _worth(seen: Seen, times: dict[str, float]) -> tuple[float, bool, float]:
    return times[seen.name], not seen.idle, seen.idle_since


def _members(seen: Iterable[Seen]) -> list[Member]:
    return [each.member for each in seen]


def _names(seen: Iterable[Seen]) -> str:
    return ", ".join(each.name for each in seen)
