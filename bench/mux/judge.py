"""THE table of what is told: each figure in words, how the rounds become one cell, and what ours must reach.
Walked by `bench.mux.table`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.mux.client import BROKEN, OK, SILENT
from bench.mux.contenders import MAX_WAIT
from bench.quantiles import rounded

Rounds = Sequence[Mapping[str, Any]]
Test = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """`right` is asked of each round of ours; `goal` says it in words."""

    what: str
    scenario: str
    cell: Callable[[Rounds], str]
    goal: str = ""
    right: Test | None = None

    def judged(self, rounds: Rounds) -> bool | None:
        """Whether every round of ours reached it; None: there is no goal, or nothing was measured."""
        return None if self.right is None or not rounds else all(self.right(one) for one in rounds)


def seconds(name: str) -> Callable[[Rounds], str]:
    return lambda rounds: f"{rounded(statistics.median(one[name] for one in rounds))} s"


def longest(name: str) -> Callable[[Rounds], str]:
    return lambda rounds: f"{rounded(max(one[name] for one in rounds))} s"


def rate(name: str) -> Callable[[Rounds], str]:
    return lambda rounds: f"{rounded(statistics.median(one[name] for one in rounds))} /s"


def most(name: str) -> Callable[[Rounds], str]:
    return lambda rounds: str(max(one[name] for one in rounds))


def load(rounds: Rounds) -> str:
    wall, switches = (statistics.median(one[name] for one in rounds) for name in ("wall_s", "switches"))
    times = "switch" if switches == 1 else "switches"
    return f"{rounded(wall)} s, {switches:g} {times}{_wrong(rounds)}"


def outcome(name: str) -> Callable[[Rounds], str]:
    """The worst of all rounds: what was right once and not the next time is not right."""

    def cell(rounds: Rounds) -> str:
        worst = max(rounds, key=lambda one: (one[name] != OK, one[f"{name}_s"]))
        words = {OK: "served", SILENT: "**no answer**", BROKEN: "**broken off**"}
        told = words.get(worst[name], f"**{worst[name]}**")
        dead = max(one["deaths"] for one in rounds)
        return f"{told} after {rounded(worst[f'{name}_s'])} s" + (f", {dead} out of memory" if dead else "")

    return cell


def stopped(rounds: Rounds) -> str:
    whole = all(one["stream"] == OK for one in rounds)
    return f"{max(one['orphans'] for one in rounds)}; the stream {'ends whole' if whole else '**is cut**'}"


def _wrong(rounds: Rounds) -> str:
    wrong = sum(one["wrong"] for one in rounds)
    return f", {wrong} **failed**" if wrong else ""


def served(*names: str) -> Test:
    return lambda one: all(one[name] == OK for name in names) and not one.get("deaths")


ROWS: tuple[Row, ...] = (
    Row("start: the port answers after", "start", seconds("open_s")),
    Row("the first chat is answered after", "start", seconds("first_answer_s")),
    Row(
        "first byte of a stream of 20 tokens, one each 100 ms",
        "stream",
        seconds("first_byte_s"),
        "0.11 s",
        lambda one: one["outcome"] == OK and one["first_byte_s"] <= 0.11,
    ),
    Row(
        "two clients, one a model, ten requests of 50 ms each",
        "thrash",
        load,
        "5 s",
        lambda one: one["wall_s"] <= 5 and not one["wrong"],
    ),
    Row("one client that asks for the other model each time: a request, p50", "alternate", seconds("p50_s")),
    Row(
        "a client leaves during a switch: the next for that model",
        "leave_switching",
        outcome("next"),
        "served",
        served("next"),
    ),
    Row("and then for the other", "leave_switching", outcome("after"), "served", served("after")),
    Row(
        "a client leaves that waited for the other model's stream: the next for the other",
        "leave_waiting",
        outcome("next"),
        "served",
        served("next"),
    ),
    Row("and then for the first", "leave_waiting", outcome("after"), "served", served("after", "stream")),
    Row(
        "two clients keep one model busy: the longest that a request for the other waits",
        "steady",
        longest("longest_s"),
        f"`max_wait` ({MAX_WAIT:g} s) and a switch",
        # Of the model's own words alone: a script has no max_wait but the default.
        lambda one: one["longest_s"] <= one["limit_s"] and not one["wrong"],
    ),
    Row(
        "and that one for the busy one waits, while the other has its turn",
        "steady",
        longest("a_longest_s"),
        "the same",
        lambda one: one["a_longest_s"] <= one["limit_s"],
    ),
    Row("meanwhile the busy one answers", "steady", rate("per_s")),
    Row(
        "SIGTERM in a stream: model servers left behind",
        "sigterm",
        stopped,
        "0, whole",
        lambda one: one["orphans"] == 0 and one["stream"] == OK,
    ),
)
