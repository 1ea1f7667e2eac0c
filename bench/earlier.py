"""The figures of the last run, from its results.json: a run of one part shows the others as they were measured then.
Used by `bench.__main__`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.real import Real
from bench.rounds import Collected
from bench.startup import Starts

ROLLOUTS = "rollout_"


@dataclass
class Earlier:
    machine: dict[str, str]
    collected: Collected
    starts: Starts
    real: Real

    def take(self, rollouts: Collected, real: Real | None) -> None:
        """What a run of rollouts alone has measured, in the place of what was there of them."""
        for contender, sheet in self.collected.figures.items():
            fresh = rollouts.figures.get(contender, {})
            kept = {name: rounds for name, rounds in sheet.items() if not name.startswith(ROLLOUTS)}
            sheet.clear()
            sheet.update(kept | {name: rounds for name, rounds in fresh.items() if name.startswith(ROLLOUTS)})
        self.collected.problems = list(dict.fromkeys([*self.collected.problems, *rollouts.problems]))
        if real is not None:
            self.real.rollouts_per_second = real.rollouts_per_second


def read(path: Path) -> Earlier:
    """JSON has only strings for keys; a round's number is an int again."""
    told: dict[str, Any] = json.loads(path.read_text())
    figures = {
        contender: {
            figure: {int(number): value for number, value in rounds.items()} for figure, rounds in sheet.items()
        }
        for contender, sheet in told["figures"].items()
    }
    measured = told["real"] or {}
    names = Real.__dataclass_fields__
    return Earlier(
        told["machine"],
        Collected(figures, told["gaps"], told["problems"]),
        Starts(**told["startup"]),
        Real(**{name: value for name, value in measured.items() if name in names}),
    )
