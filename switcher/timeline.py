"""The last changes of state, for `GET /running`, the page and who asks what happened.
Written by `switcher.entry`, read through `Switcher.snapshot`.
"""

import time
from collections import deque
from dataclasses import dataclass

from switcher.states import State

KEPT = 200


@dataclass(frozen=True, slots=True)
class Change:
    at: float  # seconds since 1970
    name: str
    before: State
    after: State
    why: str
    seconds: float  # how long it was in the state before


class Timeline:
    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: deque[Change] = deque(maxlen=KEPT)

    def add(self, name: str, before: State, after: State, why: str, seconds: float) -> None:
        self._changes.append(Change(time.time(), name, before, after, why, seconds))

    def changes(self) -> tuple[Change, ...]:
        return tuple(self._changes)
