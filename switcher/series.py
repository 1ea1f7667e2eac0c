"""A member's numbers for /metrics: waits, steps by phase, wakes, failures, refusals, as plain values.
Counted by `switcher.tickets` and `switcher.entry`, printed by `middleware.mux`.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

WAIT_BOUNDS = (0.0, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
STEP_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Histogram:
    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last: beyond every bound
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self.counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """As Prometheus writes it: how many at most so large; the last is infinity."""
        pairs, total = [], 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            pairs.append((bound, total))
        return pairs


class Series:
    __slots__ = ("failures", "refusals", "steps", "waits", "wakes")

    def __init__(self) -> None:
        self.waits = Histogram(WAIT_BOUNDS)  # seconds in the queue of requests that were served
        self.steps: dict[str, Histogram] = {}  # seconds by phase: drain, abort, sleep, stop, start, wake
        self.failures: Counter[str] = Counter()  # by phase; `died`: its process ended by itself
        self.refusals: Counter[int] = Counter()  # by status
        self.wakes = 0

    def stepped(self, seconds: Mapping[str, float]) -> None:
        for phase, took in seconds.items():
            self.steps.setdefault(phase, Histogram(STEP_BOUNDS)).observe(took)
