"""One picture of a story: each answer of /health by its time and how long it took, when the engine itself served, and
what was done to it. Used by `test_probes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from bench.svg import INK, PALE, RULE, Canvas
from tests.soak.probes import ENGINE, PROBE_SECONDS, SERVES, Answer, Story

WIDTH, LEFT, RIGHT, TOP, TALL = 980.0, 76.0, 20.0, 132.0, 190.0
GOOD, AWAY, NONE = "#1a7f37", "#bf8700", "#cf222e"
COLOURS = {SERVES: GOOD, "503": AWAY}
TICKS_MS = (1, 10, 100, 1000)
FLOOR_MS = 0.3
EVENT_ROWS = 3


def drawn(story: Story, title: str) -> str:
    end = max(one.ended for one in story.answers[ENGINE])
    base = TOP + TALL

    def across(seconds: float) -> float:
        return LEFT + seconds / end * (WIDTH - LEFT - RIGHT)

    def up(ms: float) -> float:
        share = math.log(max(ms, FLOOR_MS) / FLOOR_MS) / math.log(PROBE_SECONDS * 1000 / FLOOR_MS)
        return base - min(share, 1.05) * TALL

    canvas = Canvas(WIDTH, base + 62, title)
    canvas.text(20, 30, title, size=17, bold=True)
    probes = story.health()
    said = f"{len(probes)} probes, one every 50 ms, each on a connection of its own; a dot is one."
    canvas.text(20, 50, said, fill=PALE)
    for ms in TICKS_MS:
        canvas.line([(LEFT, up(ms)), (WIDTH - RIGHT, up(ms))], RULE)
        canvas.text(LEFT - 8, up(ms) + 4, f"{ms} ms" if ms < 1000 else "1 s", size=11, fill=PALE, anchor="end")
    for number, (at, what) in enumerate(story.events):
        y = TOP - 52 + number % EVENT_ROWS * 13
        canvas.line([(across(at), y + 3), (across(at), base)], PALE, dash="3 3")
        late = across(at) > WIDTH * 0.7
        canvas.text(across(at) + (-3 if late else 3), y, what, size=11, anchor="end" if late else "start")
    _lane(canvas, story.answers[ENGINE], across, base + 8)
    canvas.text(LEFT - 8, base + 17, "engine", size=11, fill=PALE, anchor="end")
    for kind in sorted({one.said for one in probes}):
        dots = [(across(one.began), up(one.ms)) for one in probes if one.said == kind]
        canvas.dots(dots, COLOURS.get(kind, NONE), 1.6)
    for tick in range(0, int(end) + 1, 5 if end < 90 else 20):
        canvas.text(across(tick), base + 36, f"{tick} s", size=11, fill=PALE, anchor="middle")
    x = LEFT
    for words, colour in ((SERVES, GOOD), ("503", AWAY), ("refused, cut or silent", NONE), ("the engine serves", INK)):
        canvas.dots([(x + 4, base + 50)], colour, 4)
        canvas.text(x + 12, base + 54, words, size=11.5)
        x += 30 + 7 * len(words)
    return canvas.rendered()


def _lane(canvas: Canvas, answers: list[Answer], across: Callable[[float], float], y: float) -> None:
    """Dark while the engine itself answered."""
    begun: float | None = None
    for one in answers:
        if one.said == SERVES and begun is None:
            begun = one.began
        elif one.said != SERVES and begun is not None:
            canvas.rect(across(begun), y, across(one.began) - across(begun), 8, INK)
            begun = None
    if begun is not None:
        canvas.rect(across(begun), y, across(answers[-1].ended) - across(begun), 8, INK)
