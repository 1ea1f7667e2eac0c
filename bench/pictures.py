"""Two pictures of one run: what a request and a chunk cost, by contender; and the gaps between one stream's tokens.
Written by `bench.__main__`, shown by the README.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise

from bench.contenders import CONTENDER_LIST, DIRECT, HAPROXY_DEFAULTS, MIDDLEWARE, STACK
from bench.quantiles import rounded
from bench.rounds import Collected
from bench.svg import INK, PALE, RULE, Canvas

OURS, OTHERS, BAD = "#0969da", "#afb8c1", "#cf222e"
WIDTH = 860.0
PANELS = (
    ("small_cpu_ms", "CPU ms a small request"),
    ("large_cpu_ms", "CPU ms a 1 MB request"),
    ("chunk64_us", "CPU µs a streamed chunk"),
)
BARS = [one for one in CONTENDER_LIST if one is not DIRECT and not one.requests_only]


def cost(collected: Collected, subtitle: str) -> str:
    """The bars of a panel have a scale of their own; one that is far beyond the others is cut, and says its value."""
    left, top, row, gap = 160.0, 86.0, 30.0, 24.0
    shown = [one for one in BARS if one.name in collected.figures]
    height = top + row * len(shown) + 18
    canvas = Canvas(WIDTH, height, "CPU a request and a chunk, by contender")
    canvas.text(20, 30, "What a proxy in front of SGLang costs", size=17, bold=True)
    canvas.text(20, 50, subtitle, fill=PALE)
    panel = (WIDTH - left - 20 - gap * (len(PANELS) - 1)) / len(PANELS)
    for at, one in enumerate(shown):
        ours = one in (MIDDLEWARE, STACK)
        canvas.text(left - 12, top + at * row + 17, one.label, anchor="end", bold=ours, size=12.5)
    for number, (figure, title) in enumerate(PANELS):
        x = left + number * (panel + gap)
        canvas.text(x, top - 12, title, fill=PALE)
        values = {one.name: collected.median(one.name, figure) for one in shown}
        scale = _scale([value for value in values.values() if value is not None])
        for at, one in enumerate(shown):
            y, value = top + at * row, values[one.name]
            if value is None:
                canvas.text(
                    x,
                    y + 17,
                    "no stream: all in one piece" if not one.streams else "-",
                    fill=PALE,
                    size=10.5,
                )
                continue
            room = panel - 52
            length = min(value / scale, 1.0) * room
            canvas.rect(x, y + 3, length, row - 10, OURS if one in (MIDDLEWARE, STACK) else OTHERS)
            if value > scale:  # A gap in the bar.
                for shift in (0, 5):
                    canvas.line([(x + room - 18 + shift, y + 25), (x + room - 12 + shift, y + 1)], "#ffffff", 2.5)
            canvas.text(x + length + 6, y + 17, rounded(value), size=12, bold=one in (MIDDLEWARE, STACK))
        canvas.line([(x, top), (x, top + row * len(shown))], RULE)
    return canvas.rendered()


def _scale(values: Sequence[float]) -> float:
    """The largest value, but for one that is more than three times the next."""
    ordered = sorted(values, reverse=True) or [1.0]
    return ordered[1] * 1.5 if len(ordered) > 1 and ordered[0] > 3 * ordered[1] else ordered[0]


def gaps(arrivals: Mapping[str, Sequence[float]], pace_ms: float) -> str:
    """A panel for each, all with the same axes: the time of each token's arrival, and how long it was awaited."""
    rows = [
        (DIRECT.name, "direct", INK),
        (STACK.name, "our whole stack", OURS),
        (HAPROXY_DEFAULTS.name, "haproxy without http-no-delay", BAD),
    ]
    rows = [row for row in rows if len(arrivals.get(row[0], ())) > 1]
    left, right, top, tall, between = 64.0, 24.0, 84.0, 104.0, 34.0
    height = top + len(rows) * (tall + between) + 6
    canvas = Canvas(WIDTH, height, "the time between the tokens of one stream")
    canvas.text(20, 30, "The time between the tokens of one stream", size=17, bold=True)
    canvas.text(
        20,
        50,
        f"The engine sends a token every {pace_ms:g} ms; a dot is one read of the client, the first of them TTFT.",
        fill=PALE,
    )
    if not rows:
        return canvas.rendered()
    end = max(arrivals[name][-1] for name, _, _ in rows)
    most = max(_gaps(arrivals[name])[1] for name, _, _ in rows)
    ceiling = max(50.0, math.ceil(most / 50) * 50.0)
    for number, (name, label, colour) in enumerate(rows):
        base = top + number * (tall + between) + tall
        times = [0.0, *arrivals[name]]

        def place(seconds: float, ms: float, base: float = base) -> tuple[float, float]:
            x = left + seconds / end * (WIDTH - left - right)
            return x, base - min(ms, ceiling) / ceiling * tall

        for tick in range(0, int(ceiling) + 1, 100 if ceiling > 100 else 25):
            y = place(0, tick)[1]
            canvas.line([(left, y), (WIDTH - right, y)], RULE)
            canvas.text(left - 8, y + 4, f"{tick} ms" if tick else "0", size=11, fill=PALE, anchor="end")
        points = [place(now, (now - last) * 1000) for last, now in pairwise(times)]
        for x, y in points:
            canvas.line([(x, base), (x, y)], colour, 1.2)
        canvas.dots(points, colour)
        middle, longest = _gaps(times[1:])
        said = f"{len(times) - 1} reads, gap p50 {rounded(middle)} ms, longest {rounded(longest)} ms"
        canvas.text(left, base - tall - 8, label, bold=True, size=13, fill=colour)
        canvas.text(WIDTH - right, base - tall - 8, said, anchor="end", fill=PALE)
    for tick in range(int(end * 2) + 1):
        x = left + tick / 2 / end * (WIDTH - left - right)
        canvas.text(x, height - between + 12, f"{tick / 2:g} s", size=11, fill=PALE, anchor="middle")
    return canvas.rendered()


def _gaps(times: Sequence[float]) -> tuple[float, float]:
    """Median and longest, ms."""
    lengths = [(now - last) * 1000 for last, now in pairwise(times)]
    return statistics.median(lengths), max(lengths)
