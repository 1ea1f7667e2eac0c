"""What the picture of the load shows, as Prometheus is asked for it, and how it is drawn: panels below each other with
one axis of time. Used by `load_picture`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.svg import INK, PALE, RULE, Canvas, Point

# By query, the series of its answer: (time, value).
Seen = Mapping[str, Sequence[Sequence[Point]]]

BLUE, ORANGE, GREEN, PURPLE = "#0969da", "#bc4c00", "#1a7f37", "#8250df"
WIDTH, LEFT, RIGHT, TOP, TALL, BETWEEN = 860.0, 64.0, 24.0, 102.0, 92.0, 40.0
WINDOW = "10s"
TICKS = 2


@dataclass(frozen=True)
class Line:
    label: str
    query: str
    colour: str


@dataclass(frozen=True)
class Panel:
    title: str
    lines: tuple[Line, ...]
    unit: str = ""
    factor: float = 1.0


def _quantile(share: float, series: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({series}_bucket[{WINDOW}])))"


def _quantiles(series: str) -> tuple[Line, ...]:
    shares = ((0.5, BLUE), (0.95, ORANGE))
    return tuple(Line(f"p{share * 100:g}", _quantile(share, series), colour) for share, colour in shares)


PANELS = (
    Panel(
        "Requests",
        (
            Line("running", "vllm:num_requests_running", BLUE),
            Line("waiting", "vllm:num_requests_waiting", ORANGE),
        ),
    ),
    Panel(
        "Tokens a second",
        (
            Line("generated", f"rate(vllm:generation_tokens_total[{WINDOW}])", GREEN),
            Line("prompt", f"rate(vllm:prompt_tokens_total[{WINDOW}])", PURPLE),
        ),
    ),
    Panel("Time to the first token", _quantiles("vllm:time_to_first_token_seconds"), " s"),
    Panel("Time between tokens", _quantiles("vllm:inter_token_latency_seconds"), " ms", 1000.0),
    Panel("KV cache in use", (Line("", "vllm:kv_cache_usage_perc", BLUE),), " %", 100.0),
)


def drawn(seen: Seen, moments: Sequence[tuple[float, int]], subtitle: str) -> str:
    """`moments`: when how many clients streamed from then on."""
    start = moments[0][0]
    end = max((at for series in seen.values() for points in series for at, _ in points), default=moments[-1][0])
    height = TOP + len(PANELS) * (TALL + BETWEEN)
    canvas = Canvas(WIDTH, height, "a load as Prometheus saw it")
    canvas.text(20, 30, "A load, as Prometheus saw it", size=17, bold=True)
    canvas.text(20, 50, f"{subtitle}; scraped every second, rates over {WINDOW}.", fill=PALE)

    def across(at: float) -> float:
        return LEFT + max(at - start, 0.0) / max(end - start, 1.0) * (WIDTH - LEFT - RIGHT)

    for at, count in moments:
        x = across(at)
        canvas.line([(x, TOP - 26), (x, height - BETWEEN + 14)], PALE, 0.8, "2 4")
        canvas.text(x + 4, TOP - 16, f"{count} stream{'' if count == 1 else 's'}" if count else "", size=11, fill=PALE)
    for number, panel in enumerate(PANELS):
        base = TOP + number * (TALL + BETWEEN) + TALL + 14
        values = [value for line in panel.lines for points in seen[line.query] for _, value in points]
        ceiling = _ceiling([value * panel.factor for value in values if math.isfinite(value)])
        canvas.text(LEFT, base - TALL - 8, panel.title, bold=True, size=13)
        x = WIDTH - RIGHT
        for line in reversed(panel.lines):
            canvas.text(x, base - TALL - 8, line.label, size=12.5, fill=line.colour, anchor="end", bold=True)
            x -= 14 + 7.5 * len(line.label)
        for tick in range(TICKS + 1):
            y = base - tick / TICKS * TALL
            canvas.line([(LEFT, y), (WIDTH - RIGHT, y)], RULE)
            canvas.text(LEFT - 8, y + 4, f"{ceiling * tick / TICKS:g}{panel.unit}", size=11, fill=PALE, anchor="end")
        for line in panel.lines:
            for points in seen[line.query]:
                for run in _runs(points):
                    path = [(across(at), base - value * panel.factor / ceiling * TALL) for at, value in run]
                    canvas.line(path, line.colour, 1.6)
        if not values:
            canvas.text(LEFT + 8, base - TALL / 2, "no data", fill=PALE)
    for tick in range(0, int(end - start) + 1, 10):
        canvas.text(across(start + tick), height - BETWEEN + 32, f"{tick} s", size=11, fill=INK, anchor="middle")
    return canvas.rendered()


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """A quantile of nothing is NaN: there the line has a gap."""
    runs: list[list[Point]] = [[]]
    for at, value in points:
        if math.isfinite(value):
            runs[-1].append((at, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if len(run) > 1]


def _ceiling(values: Sequence[float]) -> float:
    """The next of 1, 2, 4, 5, 8 times a power of ten."""
    most = max(values, default=0.0)
    if most <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= most)
