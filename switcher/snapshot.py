"""What anybody may see of the switcher at one moment: each member's state, queue and numbers, and the last changes.
Made by `Switcher.snapshot`; printed by `middleware.mux` for GET /running, /v1/models, /metrics and the page.
"""

from dataclasses import dataclass

from switcher.entry import Entry
from switcher.roster import Roster
from switcher.series import Series
from switcher.spec import Member
from switcher.states import State
from switcher.tickets import Clock
from switcher.timeline import Change


@dataclass(frozen=True, slots=True)
class MemberNow:
    member: Member
    state: State
    seconds: float  # in this state
    in_flight: int
    queued: int
    oldest_wait: float  # seconds; 0: nobody waits
    coming: bool  # it is chosen, and wakes as soon as others are gone
    blocked: str  # why it is not its turn though somebody waits
    busy: str  # why it is not put away though it is idle
    error: str  # the last, until it is awake
    retry_seconds: float  # in backoff: how long still
    series: Series  # live: read it, do not keep it

    @property
    def name(self) -> str:
        return self.member.name


@dataclass(frozen=True, slots=True)
class Snapshot:
    members: tuple[MemberNow, ...]
    timeline: tuple[Change, ...]
    queued: int
    closing: bool
    faults: int  # of ours, each with a traceback in the log

    def __getitem__(self, name: str) -> MemberNow:
        return next(each for each in self.members if each.name == name)


def take(roster: Roster, clock: Clock, faults: int) -> Snapshot:
    now = clock()
    members = tuple(_member(entry, now) for entry in roster.entries.values())
    return Snapshot(members, roster.timeline.changes(), roster.queued(), roster.closing, faults)


def _member(entry: Entry, now: float) -> MemberNow:
    is_off = entry.state is State.BACKOFF
    return MemberNow(
        entry.member,
        entry.state,
        now - entry.since,
        entry.line.in_flight,
        len(entry.line),
        max(0.0, now - entry.line.oldest) if len(entry.line) else 0.0,
        entry.coming,
        entry.blocked,
        entry.busy,
        entry.error,
        max(0.0, entry.backoff.until - now) if is_off else 0.0,
        entry.series,
    )
