"""What the readers of `operate` hand to `check`: one engine as it would be started, or why that cannot be told.
`source` collects them from files, `check` judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class Unreadable(Exception):
    """A file or a part of it that says nothing usable. The message is one sentence, and repeats no value: it may be
    a secret."""


@dataclass(frozen=True, slots=True)
class Found:
    source: str  # the file and the name in it
    argv: tuple[str, ...] = ()  # the program first
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()  # what could not be known
    problem: str = ""  # why there is no command line
    grace_seconds: int | None = None  # from SIGTERM to SIGKILL, where the file tells it
    local: bool = False  # files that it names are this machine's, not an image's


def stand_in(kind: str, name: str) -> str:
    """For a value that only the cluster knows."""
    return f"<from {kind} {name}>"


def is_stand_in(value: str) -> bool:
    return value.startswith("<from ") and value.endswith(">")
