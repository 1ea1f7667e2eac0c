"""The trouble of one round, drawn up front from a seed: what is done to whom, when, and for how long.
`round` carries it out; the same seed draws the same schedule.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

ENGINE, MIDDLEWARE, HAPROXY, SUPERVISORD = "sglang", "middleware", "haproxy", "supervisord"
PROGRAMS = (ENGINE, MIDDLEWARE, HAPROXY)
FIRST_SECONDS = 2.0  # of load without trouble


class Kind(StrEnum):
    KILL = "kill -9"
    SEGV = "SIGSEGV"
    TERM = "SIGTERM"
    CHILD = "kill -9 of a child"
    STOP = "SIGSTOP"
    STEAL = "kill -9, and its port taken"
    MUTE = "kill -9, and its port taken by who says nothing"
    DISK = "disk full"
    RESTART = "supervisorctl restart"
    REOPEN = "SIGUSR2"
    RELOAD = "SIGHUP"


class Ending(StrEnum):
    ASKED = "SIGTERM under load: it ends with 0"
    BUDGET = "one death too many: it ends and says why"
    STOLEN = "the engine's port is taken for good: it ends and says why"


# Those that count as a death of the engine, of which the third in ten minutes ends the container.
DEADLY = (Kind.KILL, Kind.SEGV, Kind.TERM, Kind.CHILD, Kind.STEAL, Kind.MUTE)
THEFTS = (Kind.STEAL, Kind.MUTE)
SURVIVED_DEATHS = 2
FOR_GOOD = 600.0
# The engine is started again 1 s after its first death: by then its port must be free, or that start is its last.
SHORTEST_WAIT = 0.5


@dataclass(frozen=True)
class Fault:
    at: float  # seconds since the load began
    kind: Kind
    target: str
    seconds: float = 0.0

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:6.2f} s  {self.target}: {self.kind}{lasts}"

    @property
    def is_death_of_the_engine(self) -> bool:
        return self.target == ENGINE and self.kind in DEADLY


@dataclass(frozen=True)
class Schedule:
    seed: int
    faults: tuple[Fault, ...]
    ending: Ending

    def __str__(self) -> str:
        return "\n".join([f"seed {self.seed}:", *map(str, self.faults), f"at the end  {self.ending}"])


def draw(seed: int, seconds: float, *, disk: bool) -> Schedule:
    """Without a disk that can be filled it is the same, but for that."""
    rng = random.Random(seed)
    deck = _deck(rng)
    rng.shuffle(deck)
    # Some come close together, and meet what the one before has left.
    gaps = [rng.choice((0.1, 0.5, 1.0, 1.0, 2.0)) * rng.uniform(0.5, 1.5) for _ in deck]
    stretch = (seconds - FIRST_SECONDS) / sum(gaps)
    at, faults = FIRST_SECONDS, []
    for gap, (kind, target, lasts) in zip(gaps, deck, strict=True):
        faults.append(Fault(at, kind, target, lasts))
        at += gap * stretch
    ending = rng.choices(tuple(Ending), (6, 2, 1))[0]
    if ending is not Ending.ASKED:
        # A reload begins a new count.
        faults = [fault for fault in faults if fault.kind is not Kind.RELOAD]
        last = Fault(at, rng.choice((Kind.KILL, Kind.SEGV, Kind.TERM, Kind.CHILD)), ENGINE)
        if ending is Ending.STOLEN:
            faults = [fault for fault in faults if not fault.is_death_of_the_engine]
            last = Fault(at, rng.choice(THEFTS), ENGINE, FOR_GOOD)
        faults.append(last)
    return Schedule(seed, tuple(fault for fault in faults if disk or fault.kind is not Kind.DISK), ending)


def _deck(rng: random.Random) -> list[tuple[Kind, str, float]]:
    deck: list[tuple[Kind, str, float]] = [
        *((kind, ENGINE, SHORTEST_WAIT * (kind in THEFTS)) for kind in rng.sample(DEADLY, SURVIVED_DEATHS)),
        (Kind.STOP, ENGINE, rng.choice((rng.uniform(0.2, 3), rng.uniform(0.2, 3), 13.0))),
        (Kind.KILL, MIDDLEWARE, 0.0),
        (rng.choice((Kind.KILL, Kind.SEGV, Kind.TERM)), MIDDLEWARE, 0.0),
        (Kind.STOP, MIDDLEWARE, rng.uniform(0.2, 1.5)),
        (Kind.STOP, MIDDLEWARE, rng.uniform(3, 7)),
        (Kind.STOP, HAPROXY, rng.choice((rng.uniform(0.2, 1.5), rng.uniform(2, 5)))),
        (rng.choice((Kind.KILL, Kind.SEGV, Kind.TERM)), HAPROXY, 0.0),
        (rng.choice(THEFTS), HAPROXY, rng.uniform(0.3, 2.5)),
        (Kind.STOP, SUPERVISORD, rng.uniform(0.5, 4)),
        (Kind.REOPEN, SUPERVISORD, 0.0),
        (Kind.RESTART, rng.choice(PROGRAMS), 0.0),
    ]
    if rng.random() < 0.3:
        deck.append((Kind.RELOAD, SUPERVISORD, 0.0))
    deck.append((Kind.DISK, SUPERVISORD, rng.uniform(2, 6)))
    return deck
