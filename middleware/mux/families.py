"""The switcher's own series: THE table of them, with what each tells of a model.
Written by `middleware.mux.pages`, and into docs/metrics.md by `middleware.metrics.document`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from switcher.series import Histogram
from switcher.snapshot import MemberNow
from switcher.states import State

PREFIX = "vllm_shim:model_"


@dataclass(frozen=True, slots=True)
class Switchers:
    """`told` gives the value by that of `label`, which stands beside the model's name; without one it is the only."""

    name: str
    kind: str
    text: str
    told: Callable[[MemberNow], Mapping[Any, float | Histogram]]
    label: str = ""


FAMILIES: tuple[Switchers, ...] = (
    Switchers(
        "state",
        "gauge",
        "1 for the state the model is in.",
        lambda one: {state.value: one.state is state for state in State},
        "state",
    ),
    Switchers("requests_in_flight", "gauge", "Requests that the model serves now.", lambda one: {"": one.in_flight}),
    Switchers("requests_queued", "gauge", "Requests that wait for the model's turn.", lambda one: {"": one.queued}),
    Switchers(
        "oldest_wait_seconds", "gauge", "How long the first of them has waited.", lambda one: {"": one.oldest_wait}
    ),
    Switchers(
        "wakes_total", "counter", "How often the model was started or woken.", lambda one: {"": one.series.wakes}
    ),
    Switchers(
        "wait_seconds",
        "histogram",
        "Seconds in the queue of requests that were then served.",
        lambda one: {"": one.series.waits},
    ),
    Switchers(
        "step_seconds",
        "histogram",
        "Seconds of the steps of a switch, by phase.",
        lambda one: one.series.steps,
        "phase",
    ),
    Switchers(
        "step_failures_total",
        "counter",
        "Steps that failed; died: the process ended by itself.",
        lambda one: one.series.failures,
        "phase",
    ),
    Switchers(
        "refusals_total",
        "counter",
        "Requests that had no turn, by the status they were answered with.",
        lambda one: one.series.refusals,
        "status",
    ),
)
