"""The middleware's part of how the server is: the engine's state, requests, counts by rule and reason, last mishaps.
Made by `middleware.control` for an operator; `operate.inside` puts it beside what supervisord and the files say.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from middleware.context import Context
from middleware.metrics.counts import Counter, Values


async def part(context: Context, began: float) -> dict[str, Any]:
    engine, counts = context.engine, context.metrics.counts
    load = await context.metrics.load()
    last = await asyncio.to_thread(lambda: counts.recent.last)
    running, waiting = load if load is not None else (None, None)
    return {
        "pid": os.getpid(),
        "since": began,
        "engine": {
            "state": engine.state.value,
            "admits": engine.refusal() is None,
            "phase": engine.phase.value if engine.phase else None,
            "since": engine.since,
            "started": engine.started,
            "why": engine.why,
            "stalled_seconds": engine.stalled_seconds,
            "starts": int(_total(counts.engine_starts.values)),
        },
        "requests": {
            "in_flight": context.metrics.flow.requests,
            "choices": context.metrics.flow.active,
            "running": running,  # choices too: SGLang counts no others
            "waiting": waiting,
        },
        "rewritten": _by_first(counts.rewritten),
        "refused": _by_first(counts.refused) | _by_first(counts.rejected),
        "failed": _by_first(counts.failed),
        "faults": int(_total(counts.faults.values)),
        "recent_errors": [asdict(mishap) for mishap in last],
    }


def _by_first(counter: Counter) -> dict[str, int]:
    """By its first label, the most frequent first; what has not been counted yet is left out."""
    sums: dict[str, float] = {}
    for labels, value in counter.values.items():
        sums[labels[0]] = sums.get(labels[0], 0.0) + value
    return {name: int(value) for name, value in sorted(sums.items(), key=lambda one: -one[1]) if value}


def _total(values: Mapping[Values, float]) -> float:
    return sum(values.values())
