"""The picture of the load that thrashes: who was on the device when, and each answer, one pair of lanes a contender.
Written by `bench.mux.__main__`, shown by the README; all of it from what the stand-ins and the clients noted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.mux.contenders import CONTENDER_LIST, MODELS, SGLANGMUX, Contender
from bench.quantiles import rounded
from bench.svg import INK, PALE, RULE, Canvas

COLOURS = {MODELS[0]: ("#0969da", "#b6d7f7"), MODELS[1]: ("#bf8700", "#f0dca8")}  # serves; wakes or leaves
WIDTH, LEFT, RIGHT, TOP, LANE, GAP = 860.0, 226.0, 24.0, 82.0, 14.0, 22.0
Figures = Mapping[str, Any]


def drawn(measured: Mapping[str, Figures], subtitle: str) -> str:
    """`measured`: of each contender one round of the load."""
    shown = [one for one in CONTENDER_LIST if one.name in measured]
    end = max(measured[one.name]["wall_s"] for one in shown)
    height = TOP + len(shown) * (2 * LANE + GAP) + 26
    canvas = Canvas(WIDTH, height, "Two models on one device: who was awake when")
    canvas.text(20, 30, "Two clients, one a model, ten requests of 50 ms each: who is awake when", size=17, bold=True)
    canvas.text(20, 50, subtitle, fill=PALE)
    scale = (WIDTH - LEFT - RIGHT) / end
    step = 1 if end <= 12 else 2
    for second in range(0, int(end) + 1, step):
        x = LEFT + second * scale
        canvas.line([(x, TOP - 8), (x, height - 24)], RULE, 0.6)
        canvas.text(x, height - 9, f"{second} s", size=10.5, fill=PALE, anchor="middle")
    for number, one in enumerate(shown):
        _lanes(canvas, one, measured[one.name], TOP + number * (2 * LANE + GAP), scale)
    return canvas.rendered()


def _lanes(canvas: Canvas, one: Contender, figures: Figures, top: float, scale: float) -> None:
    canvas.text(LEFT - 34, top + 11, one.label.replace("`", ""), anchor="end", bold=one is not SGLANGMUX, size=12)
    canvas.text(LEFT - 34, top + 25, one.asleep, anchor="end", fill=PALE, size=10.5)
    for lane, model in enumerate(MODELS):
        y = top + lane * LANE
        canvas.text(LEFT - 10, y + 11, model.removeprefix("model-").upper(), anchor="end", size=10.5, fill=PALE)
        answers = [at for name, at in figures["drawn"]["answers"] if name == model]
        for name, since, leaving, until in figures["drawn"]["stays"]:
            if name == model:
                _stay(canvas, model, y, [LEFT + max(at, 0.0) * scale for at in (since, leaving, until)], answers, scale)
        canvas.dots([(LEFT + at * scale, y + LANE / 2 - 1) for at in answers], INK, 1.5)
    switches = figures["switches"]
    end = LEFT + figures["wall_s"] * scale
    words = f"{rounded(figures['wall_s'])} s, {switches} switch{'' if switches == 1 else 'es'}"
    # Where the bars end early there is room beside them.
    if end < WIDTH - RIGHT - 130:
        canvas.text(end + 8, top + LANE + 3, words, size=12, bold=True)
    else:
        canvas.text(WIDTH - RIGHT, top - 4, words, size=12, bold=True, anchor="end")


def _stay(canvas: Canvas, model: str, y: float, edges: Sequence[float], answers: Sequence[float], scale: float) -> None:
    """Pale while it wakes and leaves: from its memory to its first answer, and from its last."""
    serves, moves = COLOURS[model]
    since, leaving, until = edges
    first = min((x for at in answers if since <= (x := LEFT + at * scale) <= until + 2), default=leaving)
    canvas.rect(since, y, until - since, LANE - 3, moves)
    began = max(since, first - 0.05 * scale)
    canvas.rect(began, y, leaving - began, LANE - 3, serves)
