"""What happened in a round and when: what was done, what probes heard, and from when to when each trouble lasted.
Threads of `probing`, `faults` and `load` write into it, `verdict` reads it when they have ended.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.chaos.schedule import ENGINE, HAPROXY, MIDDLEWARE, Kind

HEALTH, METRICS, ENGINE_ITSELF, MIDDLEWARE_ITSELF = "/health", "/metrics", "engine itself", "middleware itself"
REFUSED, SILENT, CUT, SERVES, ODD = "refused", "silent", "cut", "200", "not what it should say"
WHO_TELLS = {HAPROXY: HEALTH, ENGINE: ENGINE_ITSELF, MIDDLEWARE: MIDDLEWARE_ITSELF}
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Probe:
    began: float
    ended: float
    said: str  # a status, or one of the words above

    def __str__(self) -> str:
        return f"{self.began:.2f}-{self.ended:.2f} {self.said}"


@dataclass(slots=True)
class Trouble:
    """From the moment before it is done until all serve again."""

    what: str
    targets: frozenset[str]
    began: float
    undone: float = NEVER
    back: float = NEVER  # the targets themselves answer again, if only with a 503
    ended: float = NEVER
    kills: bool = False

    def overlaps(self, began: float, ended: float) -> bool:
        return self.began <= ended and began <= self.ended

    def finds_nobody(self, began: float, ended: float) -> bool:
        """Whether in that time a target was dead."""
        return self.kills and self.began <= ended and began <= self.back


@dataclass
class Story:
    started: float = field(default_factory=time.monotonic)
    probes: dict[str, list[Probe]] = field(
        default_factory=lambda: {name: [] for name in (HEALTH, METRICS, ENGINE_ITSELF, MIDDLEWARE_ITSELF)}
    )
    events: list[tuple[float, str]] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    stalls: list[tuple[float, float]] = field(default_factory=list)  # in which the machine itself did not run us

    def now(self) -> float:
        return time.monotonic() - self.started

    def happens(self, what: str) -> float:
        moment = self.now()
        self.events.append((moment, what))
        return moment

    def begins(self, what: str, *targets: str, kills: bool = False) -> Trouble:
        trouble = Trouble(what, frozenset(targets), self.happens(what), kills=kills)
        self.troubles.append(trouble)
        return trouble

    def stalled(self, began: float, ended: float) -> float:
        """Seconds of that time in which the machine stood still."""
        return sum(max(0.0, min(ended, end) - max(began, begin)) for begin, end in self.stalls)

    def in_trouble(self, began: float, ended: float, *targets: str) -> bool:
        return any(one.overlaps(began, ended) and (not targets or one.targets & set(targets)) for one in self.troubles)

    def seconds_stopped(self, began: float, ended: float, target: str) -> float:
        """Of that time: a process that is stopped learns nothing."""
        stops = [one for one in self.troubles if one.what == f"{target}: {Kind.STOP}"]
        return sum(max(0.0, min(ended, one.undone) - max(began, one.began)) for one in stops)

    def seconds_away(self, began: float, ended: float, target: str) -> float:
        """Of that time, stopped or dead."""
        away = [
            (one.began, one.back if one.kills else one.undone)
            for one in self.troubles
            if target in one.targets and (one.kills or one.what == f"{target}: {Kind.STOP}")
        ]
        total, reached = 0.0, began
        for start, end in sorted(away):
            total += max(0.0, min(ended, end) - max(reached, start))
            reached = max(reached, end)
        return total

    def is_dead(self, began: float, ended: float, target: str) -> bool:
        return any(one.finds_nobody(began, ended) and target in one.targets for one in self.troubles)

    def serves_since(self, since: float) -> bool:
        """Whether engine, middleware and front door have all answered 200 to a probe that began after that."""
        return all(
            any(one.began > since and one.said == SERVES for one in self.probes[name][-3:])
            for name in WHO_TELLS.values()
        )

    def answers_since(self, since: float, target: str) -> bool:
        """Whether it has said anything by itself."""
        probes = self.probes[WHO_TELLS[target]][-3:]
        return any(one.began > since and one.said in (SERVES, "503") for one in probes)

    def __str__(self) -> str:
        lines = [f"{at:7.2f} s  {what}" for at, what in sorted(self.events)]
        return "\n".join([*lines, f"the machine stood still for {sum(e - b for b, e in self.stalls):.2f} s in all"])
