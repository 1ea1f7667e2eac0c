"""All members by name, what is known of the machine, and what a reload changes of both.
Kept by `switcher.switcher`, walked by `switcher.turns`.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import attrgetter

from switcher.driver import Driver
from switcher.entry import Entry
from switcher.exceptions import Unavailable
from switcher.fits import has_room
from switcher.spec import Member, Mux, Tier
from switcher.states import GONE, State
from switcher.tickets import Clock, Stir
from switcher.timeline import Timeline
from switcher.view import Want

# What a running process cannot change: a member that differs in these is stopped, and started as the other one.
PROCESS = ("program", "port", "kind", "command", "devices", "tier", "health", "policy", "ready_file", "engine_log")
assert {f.name for f in fields(Member)} >= set(PROCESS)
process = attrgetter(*PROCESS)


class Roster:
    __slots__ = ("_clock", "_stirred", "closing", "entries", "finishing", "mux", "names", "timeline")

    def __init__(self, clock: Clock, stirred: Callable[[], None]) -> None:
        self.mux = Mux(())
        self.entries: dict[str, Entry] = {}
        self.names: dict[str, Entry] = {}  # with aliases, without who is being removed
        self.timeline = Timeline()
        self.closing = False  # see switcher.closing
        self.finishing: set[str] = set()
        self._clock = clock
        self._stirred = stirred

    def find(self, name: str) -> Entry:
        try:
            return self.names[name]
        except KeyError:
            raise Unavailable(404, f"The model `{name}` does not exist.") from None

    def take(self, mux: Mux, drivers: Mapping[str, Driver]) -> set[str]:
        """Limits hold at once; another process takes the place of the old one when that has stopped.

        The names of those that are new or another process.
        """
        self.mux, fresh = mux, set[str]()
        kept = {member.name for member in mux.members}
        for entry in self.entries.values():
            if entry.name not in kept:
                self._remove(entry)
        for member in mux.members:
            if member.name not in self.entries:
                self._add(member, drivers[member.name])
                fresh.add(member.name)
                continue
            entry = self.entries[member.name]
            if process(entry.member) != process(member):
                entry.removed, entry.next = False, (member, drivers[member.name])
                fresh.add(member.name)
                if member.pin and entry.state is State.AWAKE:
                    entry.want = Want.RETURN
            else:
                entry.removed, entry.next, entry.member = False, None, member
                entry.line.concurrency = member.concurrency
                entry.line.admit()
        self.names = {name: self.entries[member.name] for member in mux.members for name in member.names}
        self.settle()
        self._stirred()
        return fresh

    def settle(self) -> None:
        """Who has stopped makes place for what a reload put there."""
        for name, entry in list(self.entries.items()):
            if entry.state not in GONE:
                continue
            if entry.removed:
                entry.end_order()
                del self.entries[name]
            elif entry.next is not None:
                entry.replace()

    @property
    def default(self) -> str:
        return self.names[self.mux.default].name if self.mux.default else ""

    def is_default(self, entry: Entry) -> bool:
        """That comes back when the others are idle."""
        return entry.name == self.default and self.mux.default_seconds > 0

    def queued(self) -> int:
        return sum(len(entry.line) for entry in self.entries.values())

    def host_memory_left(self, entry: Entry) -> bool:
        """Whether what it leaves in the host's memory fits beside that of the others."""
        kept = (State.ASLEEP, State.SLEEPING)
        others = [other for other in self.entries.values() if other is not entry and other.state in kept]
        taken = sum(other.member.host_memory_gib for other in others if other.asleep_in is Tier.CPU)
        return not self.mux.host_memory_gib or taken + entry.member.host_memory_gib <= self.mux.host_memory_gib

    def preloads(self) -> list[str]:
        """In their order, those last that stay awake; who would only be started to be stopped is left out."""
        wished = [member for member in self.mux.members if member.preload]
        stay: list[Member] = []
        pass_by: list[Member] = []
        # sorted() keeps their order otherwise.
        for member in sorted(wished, key=lambda member: (not member.pin, member.name != self.default)):
            (stay if has_room(member, stay, self.mux) else pass_by).append(member)
        return [m.name for m in pass_by if m.tier is not Tier.STOPPED] + [member.name for member in stay]

    def _add(self, member: Member, driver: Driver) -> None:
        self.entries[member.name] = Entry(member, driver, self._clock, self.timeline, Stir(self._stirred, self._idled))

    def _idled(self) -> None:
        """One that stays awake has nothing to do: that is for those who wait, and with nobody for the next poll."""
        if self.queued():
            self._stirred()

    def _remove(self, entry: Entry) -> None:
        entry.removed, entry.next, entry.want = True, None, None
        sentence = f"The model `{entry.name}` does not exist."
        entry.line.refuse_all(lambda: Unavailable(404, sentence))

    def return_those_put_away_for(self, name: str) -> None:
        for entry in self.entries.values():
            if entry.away is not None and entry.away.successor == name:
                entry.want = Want.RETURN
