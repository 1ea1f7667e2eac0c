"""What a record of the table of causes holds.
`model` and `machine` are made of them, `supervision.diagnosis` walks them.
"""

import enum
from dataclasses import dataclass


class Heals(enum.Enum):
    NEVER = enum.auto()  # the same at every try
    ONCE_READY = enum.auto()  # it has fitted before: what the dead had taken may not be free yet
    PERHAPS = enum.auto()


@dataclass(frozen=True, slots=True)
class Sign:
    text: bytes  # of one line of the log, and of one of the source
    source: str  # of SGLang 0.5.23 and what it was installed with: a file beside it, or who compiled it in


@dataclass(frozen=True, slots=True)
class Cause:
    name: str
    heals: Heals
    sentence: str  # what it is and what to do, with the flags that the operator writes, which are vLLM's
    signs: tuple[Sign, ...]
    code: int | None = None  # only with this exit code


NEVER, ONCE_READY, PERHAPS = Heals
TORCH, LIBC = "compiled: torch", "compiled: libc"
