"""Every contender in turn, several times: what the machine's other work does to one it does to all.
Called by `bench.__main__`; what it collects is all that the table and the pictures are made of.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import rollouts, scrapes
from bench.bodies import Bodies
from bench.contenders import (
    CONTENDER_LIST,
    DIRECT,
    HAPROXY_DEFAULTS,
    STACK,
    Contender,
    Place,
    settle,
    stand_in,
)
from bench.figures import Bench, Sheet, measure, watch
from bench.machine import Cores
from bench.real import Say
from bench.running import Failed, free_port
from bench.sizes import Sizes
from bench.streams import Asked

# One that does not start or ends is left out, and the others go on.
WRONG = (Failed, subprocess.CalledProcessError, OSError, ValueError)
# One stream, whose gaps are drawn.
DRAWN = (DIRECT, STACK, HAPROXY_DEFAULTS)
DRAWN_PACE_MS = 20.0


@dataclass
class Collected:
    """figures[contender][figure] has one value a round; a round without one is left out."""

    figures: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    gaps: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, contender: str, number: int, sheet: Sheet) -> None:
        for name, value in sheet.figures.items():
            self.figures.setdefault(contender, {}).setdefault(name, {})[number] = value
        self.problems += sheet.problems

    def values(self, contender: str, figure: str) -> list[float]:
        return list(self.figures.get(contender, {}).get(figure, {}).values())

    def median(self, contender: str, figure: str) -> float | None:
        values = self.values(contender, figure)
        return statistics.median(values) if values else None

    def ratios(self, contender: str, other: str, figure: str) -> list[float]:
        """Within each round."""
        ours, theirs = (self.figures.get(name, {}).get(figure, {}) for name in (contender, other))
        return [ours[number] / theirs[number] for number in sorted(ours.keys() & theirs.keys()) if theirs[number]]

    def added(self, contender: str, figure: str) -> list[float]:
        """Beyond direct, within each round."""
        ours, theirs = (self.figures.get(name, {}).get(figure, {}) for name in (contender, DIRECT.name))
        return [ours[number] - theirs[number] for number in sorted(ours.keys() & theirs.keys())]


def collect(sizes: Sizes, cores: Cores, say: Say, only: Sequence[str] = ()) -> Collected:
    collected = Collected()
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    bodies = Bodies(folder)
    place = Place(folder, free_port(), cores)
    chosen = [one for one in CONTENDER_LIST if one.name in only] if only else list(CONTENDER_LIST)
    if sizes.brief:
        chosen = [one for one in chosen if not one.requests_only]
    with stand_in(place):
        for number in range(sizes.rounds):
            for contender in chosen:
                say(f"round {number + 1} of {sizes.rounds}: {contender.label}")
                sheet = Sheet()
                began = time.perf_counter()
                try:
                    with contender.start(place) as running:
                        sheet.figures["start_s"] = time.perf_counter() - began
                        settle()
                        bench = Bench(contender, running, bodies, sizes, sheet)
                        # What idles is measured first: a load that was cut off is still worked at for a moment.
                        measure(bench, first=number == 0)
                        scrapes.measured(bench)
                        rollouts.measured(bench)
                except WRONG as failure:
                    sheet.problems.append(f"{contender.label}: {failure}")
                collected.take(contender.name, number, sheet)
        for contender in DRAWN:
            say(f"the gaps of one stream: {contender.label}")
            try:
                draw(contender, place, sizes, collected)
            except WRONG as failure:
                collected.problems.append(f"{contender.label}, one stream: {failure}")
    # The logs are kept where something went wrong.
    if collected.problems:
        say(f"something went wrong; the logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return collected


def draw(contender: Contender, place: Place, sizes: Sizes, collected: Collected) -> None:
    with contender.start(place) as running:
        settle()
        asked = Asked(running.port, streams=1, tokens=sizes.drawn, pace_ms=DRAWN_PACE_MS, repeats=2, series=True)
        seen = watch(asked)
    if seen.broken:
        collected.problems.append(f"{contender.label}, one stream: {seen.broken[0]}")
    else:
        collected.gaps[contender.name] = seen.series
