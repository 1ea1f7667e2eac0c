"""THE table of targets: what each is a ratio or a difference of, within one run, and how large it may be."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.contenders import MIDDLEWARE, QUIET_MIDDLEWARE, QUIET_ROUTER, ROUTER, STACK
from bench.quantiles import shown
from bench.real import Real
from bench.rounds import Collected

Values = Callable[[Collected, Real | None], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Target:
    what: str
    limit: float
    values: Values
    unit: str = ""
    at_least: bool = False

    def judged(self, collected: Collected, real: Real | None) -> tuple[str, str, str, str]:
        """What, how much, the limit, whether it is met."""
        values = self.values(collected, real)
        limit = f"{'at least' if self.at_least else 'at most'} {self.limit:g}{self.unit}"
        if not values:
            return self.what, "not measured", limit, "?"
        middle = statistics.median(values)
        met = middle >= self.limit if self.at_least else middle <= self.limit
        return self.what, shown(values) + self.unit, limit, "yes" if met else "**no**"


def to_router(figure: str) -> Values:
    return lambda collected, _: collected.ratios(MIDDLEWARE.name, ROUTER.name, figure)


def added(contender: str, figure: str) -> Values:
    return lambda collected, _: collected.added(contender, figure)


def as_measured(contender: str, figure: str) -> Values:
    return lambda collected, _: collected.values(contender, figure)


def throughput(_: Collected, real: Real | None) -> Sequence[float]:
    return real.ratios() if real is not None else ()


def rollouts(_: Collected, real: Real | None) -> Sequence[float]:
    return real.rollout_ratios() if real is not None else ()


def quiet(collected: Collected, _: Real | None) -> Sequence[float]:
    return collected.ratios(QUIET_MIDDLEWARE.name, QUIET_ROUTER.name, "small_cpu_ms")


TARGETS: tuple[Target, ...] = (
    Target("middleware: CPU of a small request, to sglang-router's", 0.6, to_router("small_cpu_ms")),
    Target("the same, both without their access log", 0.6, quiet),
    Target("middleware: CPU of a chunk, 64 streams, to sglang-router's", 1.0, to_router("chunk64_us")),
    Target("middleware: CPU of a chunk, 256 streams, to sglang-router's", 1.0, to_router("chunk256_us")),
    Target("middleware: CPU of a 1 MB request, to sglang-router's", 0.7, to_router("large_cpu_ms")),
    Target("middleware: a 1 MB request adds to a token gap", 5, as_measured(MIDDLEWARE.name, "stall_large_ms"), " ms"),
    Target("middleware: 200,000 token ids add to a gap", 5, as_measured(MIDDLEWARE.name, "stall_ids_ms"), " ms"),
    Target("whole stack: TTFT added to one stream, p50", 2, added(STACK.name, "ttft1_p50_ms"), " ms"),
    Target("whole stack: TTFT added to 64 at once, p50", 10, added(STACK.name, "ttft64_p50_ms"), " ms"),
    Target("whole stack: TTFT added to 64 at once, p99", 10, added(STACK.name, "ttft64_p99_ms"), " ms"),
    Target("middleware: 10 scrapes a second add to a gap", 5, as_measured(MIDDLEWARE.name, "scrape_stall_ms"), " ms"),
    Target("middleware: gap p99 beside them, to without", 1.1, as_measured(MIDDLEWARE.name, "scraped_to_calm")),
    Target("whole stack: throughput of the real engine, to direct", 0.97, throughput, at_least=True),
    Target("whole stack: rollouts a second of the real engine, to direct", 0.95, rollouts, at_least=True),
)  # fmt: skip
