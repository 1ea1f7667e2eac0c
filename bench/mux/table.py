"""What was measured as Markdown: a row a figure, a column a contender, and whether ours reached the goal.
Written by `bench.mux.__main__`; the README shows the first table and the picture.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.mux.contenders import CONTENDER_LIST, SCRIPTS, SGLANGMUX, SWITCH_SECONDS
from bench.mux.device import COSTS
from bench.mux.judge import ROWS, Row
from bench.mux.latency import CONNECTIONS
from bench.quantiles import rounded

# By contender and scenario, the figures of each round.
Measured = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
HEAD = """# Several models on one device: beside sglangmux 0.1.1

Made by `make bench-mux`. Two models, one device with room for one of them, the same stand-ins for SGLang behind each
(`tests/fakes`): a start costs {start} s, a release {release} s, a resume {resume} s, weights from disk {disk} s, and a
second one on the device dies. No GPU and no real weights: what is compared is who decides what, and when."""
NOTES = f"""sglangmux has started both models before its port opens; ours with a `tier` does so with an open
port (`preload`), and with scripts at the first request. `tier: disk` is what sglangmux does: weights are read again
at each switch. `tier: cpu` keeps them in the host's memory. A script has --enable-memory-saver, and so its model is
as `tier: disk`; its `max_wait` is the default, 30 s. sglangmux's limit of a switch was {SWITCH_SECONDS} s instead of 60
(so long its clients wait for an error), and a client here gives up after 15 s. Times are the median of the rounds;
"longest", counts and outcomes are the worst of them."""
COST = """## What ours costs a request

A small request for a model that is awake, p50 beyond direct, in ms; wrk, and one core for the mux."""


def markdown(machine: Mapping[str, str], measured: Measured) -> str:
    costs = dict(zip(("release", "resume", "disk", "start"), COSTS.values(), strict=False))
    parts = [
        HEAD.format(**costs),
        "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "![who was awake when](mux.svg)",
        main_table(measured),
        NOTES,
        COST,
        latency_table(measured),
        "Ours is haproxy and a Python middleware that reads and repairs each request; sglangmux is one Rust process.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def main_table(measured: Measured) -> str:
    columns = [one for one in CONTENDER_LIST if one.name in measured]
    lines = [["", *(one.label for one in columns), "goal of ours"], ["---"] * (len(columns) + 2)]
    for row in ROWS:
        cells = [row.cell(found) if (found := measured[one.name].get(row.scenario)) else "-" for one in columns]
        lines.append([row.what, *cells, goal(row, measured)])
    return _table(lines)


def goal(row: Row, measured: Measured) -> str:
    """And who missed it."""
    if not row.goal:
        return ""
    ours = [one for one in CONTENDER_LIST if one is not SGLANGMUX and one.name in measured]
    missed = [one.label for one in ours if row.judged(measured[one.name].get(row.scenario, ())) is False]
    return f"{row.goal}: **missed** by {', '.join(missed)}" if missed else row.goal


def latency_table(measured: Measured) -> str:
    """Ours is the same way for every tier."""
    found = [measured.get(one.name, {}).get("latency", ()) for one in (SGLANGMUX, SCRIPTS)]
    if not all(found):
        return ""
    lines = [
        ["connections", "direct, ms", "sglangmux adds, ms", "ours adds, ms", "requests a second: sglangmux", "ours"]
    ]
    lines.append(["---"] * len(lines[0]))
    for each in CONNECTIONS:
        figures = [_median(rounds, f"added{each}_ms") for rounds in found]
        direct = statistics.median(one[f"direct{each}_ms"] for rounds in found for one in rounds)
        rates = [_median(rounds, f"rps{each}") for rounds in found]
        lines.append([str(each), rounded(direct), *map(rounded, (*figures, *rates))])
    return _table(lines)


def _median(rounds: Sequence[Mapping[str, Any]], name: str) -> float:
    return float(statistics.median(one[name] for one in rounds))


def _table(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
