"""THE table of a trainer's administrative calls: how long prime-rl waits for an answer, and what it sends again.
Walked by `tests.rl.trainer`, as prime-rl was in August 2026; a server that needs more patience than this stops a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

ATTEMPTS = 10
FIRST_WAIT, LONGEST_WAIT = 1.0, 10.0
CONNECT, WRITE, POOL = 10.0, 60.0, 10.0


def of_the_server(status: int) -> bool:
    """A client's fault does not mend itself: 4xx stops the run at once."""
    return status >= 500


def not_there_yet(status: int) -> bool:
    """A shared disk shows a file later to others than to who wrote it."""
    return status in (404, 500)


@dataclass(frozen=True, slots=True)
class Order:
    path: str
    read_seconds: float
    total_seconds: float  # with all attempts
    again: Callable[[int], bool] = of_the_server
    query: Mapping[str, str] = field(default_factory=dict)


PAUSE = Order("/pause", 300, 600, query={"mode": "keep", "clear_cache": "false"})
RESUME = Order("/resume", 300, 600)
UPDATE = Order("/update_weights", 720, 1440)
LOAD_ADAPTER = Order("/load_lora_adapter", 30, 120, not_there_yet)
