"""What the scheduler sees: a frozen value of every member's state, queue and times at one moment.
Made by `switcher.turns`, read by `switcher.schedule`, and written by hand in its tests.
"""

import enum
from dataclasses import dataclass

from switcher.spec import Member, Mux, Tier
from switcher.states import State

NEVER = float("inf")


class Want(enum.IntEnum):
    """Why a member should be awake, the strongest first."""

    WAITERS = 1  # somebody waits for it
    PRELOAD = 2
    RETURN = 3  # it was put away for one that failed, or died at its work; it puts nobody away
    DEFAULT = 4  # when the others are idle


@dataclass(frozen=True, slots=True)
class Seen:
    member: Member
    state: State
    awake_since: float = 0.0
    idle_since: float = 0.0  # if it is idle
    in_flight: int = 0
    queued: int = 0
    oldest: float = NEVER  # when the first of its queue came
    left: float = -NEVER  # when it was last put away
    round_trip: float = 1.0  # seconds to put it away and to bring it back, as measured
    used: bool = True  # since it woke
    busy: str = ""  # why it must not be put away now
    want: Want | None = None  # beside its waiters
    order: Tier | None = None  # an operator's, to be put away
    yields: bool = False  # it drains for others, and nothing of it was ended yet

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def idle(self) -> bool:
        return not self.in_flight and not self.queued


@dataclass(frozen=True, slots=True)
class View:
    now: float
    mux: Mux
    seen: tuple[Seen, ...]
