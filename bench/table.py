"""The figures as Markdown: what each contender costs, what it adds, and the targets. Written by `bench.__main__`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.contenders import CONTENDER_LIST, DIRECT, MIDDLEWARE, STACK, STOCK, Contender
from bench.quantiles import rounded, shown
from bench.real import Real
from bench.rounds import Collected
from bench.startup import Starts
from bench.targets import TARGETS

HEAD = """# What it costs

Made by `make bench`; [NOTES.md](../NOTES.md) says how to read it. Medians of the rounds, in parentheses the least and
the most."""
TIME_HEAD = """## Time, ms

Direct as it is, the others beyond direct in the same round. A gap is the time between two tokens of a stream that the
engine sends every 20 ms; the longest gaps are beyond those 20 ms."""
GAPS = ("p50", "p99", "max")
Cell = Callable[[Collected, Contender], str]


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    cell: Cell


def spread(figure: str) -> Cell:
    return lambda collected, one: shown(collected.values(one.name, figure))


def added(*figures: str) -> Cell:
    """Beyond direct, whose own are shown as they are."""

    def cell(collected: Collected, one: Contender) -> str:
        values = [collected.values(one.name, f) if one is DIRECT else collected.added(one.name, f) for f in figures]
        if not all(values):
            return "-"
        sign = "" if one is DIRECT else "+"
        return " / ".join(f"{sign}{rounded(statistics.median(each))}".replace("+-", "-") for each in values)

    return cell


def medians(*figures: str) -> Cell:
    def cell(collected: Collected, one: Contender) -> str:
        values = [collected.median(one.name, figure) for figure in figures]
        return " / ".join("-" if value is None else rounded(value) for value in values)

    return cell


COST: tuple[Column, ...] = (
    Column("CPU ms a small request", spread("small_cpu_ms")),
    Column("CPU ms a 1 MB request", spread("large_cpu_ms")),
    Column("CPU ms 200,000 token ids", spread("ids_cpu_ms")),
    Column("CPU ms a rollout", spread("rollout_cpu_ms")),
    Column("CPU µs a chunk, 64 streams", spread("chunk64_us")),
    Column("CPU µs a chunk, 256 streams", spread("chunk256_us")),
    Column("idle, CPU ms a second", medians("idle_ms_per_s")),
    Column("MB: at first / 1,000 open streams / after", medians("rss_before_mb", "rss_held_mb", "rss_after_mb")),
)
TIME: tuple[Column, ...] = (
    Column("small request alone, p50", added("alone_p50_ms")),
    Column("TTFT, 1 stream, p50 / p99", added("ttft1_p50_ms", "ttft1_p99_ms")),
    Column("TTFT, 64 at once, p50 / p99", added("ttft64_p50_ms", "ttft64_p99_ms")),
    Column("gap, 64 streams, p50 / p99", added("gap64_p50_ms", "gap64_p99_ms")),
    Column("gap, 256 streams, p50 / p99", added("gap256_p50_ms", "gap256_p99_ms")),
    Column("longest gap beside a 1 MB request, p50 / max", medians("stall_large_ms", "stall_large_max_ms")),
    Column("beside 200,000 token ids, p50 / max", medians("stall_ids_ms", "stall_ids_max_ms")),
    Column("requests a second, 32 connections", medians("small_rps")),
)

SCRAPES_HEAD = """## Scrapes of /metrics

SGLang's whole text with the series of one and of eight data-parallel ranks; ten scrapes a second, their CPU beyond
idle; "passed on" is what Starlette + httpx needs to hand on the same text. Gaps of 64 streams, every 20 ms a token,
beside ten scrapes a second of eight ranks, and without."""


def to_stock(figure: str) -> Cell:
    return lambda collected, one: shown(collected.ratios(one.name, STOCK.name, figure))


SCRAPES: tuple[Column, ...] = (
    Column("CPU ms, 1 rank", spread("scrape1_cpu_ms")),
    Column("to passed on", to_stock("scrape1_cpu_ms")),
    Column("CPU ms, 8 ranks", spread("scrape8_cpu_ms")),
    Column("to passed on", to_stock("scrape8_cpu_ms")),
    Column("answered in ms, 1 / 8", medians("scrape1_p50_ms", "scrape8_p50_ms")),
    Column("bytes, 1 / 8", medians("scrape1_bytes", "scrape8_bytes")),
    Column("SGLang's bytes, 1 / 8", medians("scrape1_sglang_bytes", "scrape8_sglang_bytes")),
    Column("gap beside scrapes, p50 / p99 / max, ms", medians(*(f"scraped_gap_{part}_ms" for part in GAPS))),
    Column("and without", medians(*(f"calm_gap_{part}_ms" for part in GAPS))),
)

# What of our whole stack's is told of each process.
SHARED = (
    ("a small request", "small_cpu_ms"),
    ("a rollout", "rollout_cpu_ms"),
    ("a chunk of 64 streams", "chunk64_us"),
)
SUMMARY: tuple[Column, ...] = (
    Column("CPU ms a small request", medians("small_cpu_ms")),
    Column("CPU ms a 1 MB request", medians("large_cpu_ms")),
    Column("CPU ms a rollout", medians("rollout_cpu_ms")),
    Column("CPU µs a chunk", medians("chunk64_us")),
    Column("TTFT added, ms", added("ttft1_p50_ms")),
    Column("TTFT added, 64 at once, ms", added("ttft64_p50_ms")),
    Column("MB with 1,000 open streams", medians("rss_held_mb")),
)


def markdown(machine: Mapping[str, str], collected: Collected, starts: Starts | None, real: Real | None) -> str:
    parts = [
        HEAD,
        "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "![CPU by contender](cost.svg)",
        "## CPU and memory",
        _table(COST, collected, [one for one in CONTENDER_LIST if one is not DIRECT]),
        _shares(collected),
        TIME_HEAD,
        _table(TIME, collected, [one for one in CONTENDER_LIST if not one.requests_only]),
        "![the gaps of one stream](gaps.svg)",
        *_scrapes(collected),
        "## Targets",
        _lines(("target", "measured", "limit", "met"), [target.judged(collected, real) for target in TARGETS]),
        *_whole(starts, real),
    ]
    if collected.problems:
        # Of one that ended, the end of its log is for the console.
        notes = dict.fromkeys(problem.partition("\n")[0] for problem in collected.problems)
        parts += ["## Left out", "\n".join(f"- {note}" for note in notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(machine: Mapping[str, str], collected: Collected) -> str:
    """What the README shows of it: few columns, and paths from there."""
    dated = f"{machine['date']}, {machine['processor']}, {machine['kernel']}; medians of {machine['run']}."
    contenders = [one for one in CONTENDER_LIST if one is not DIRECT and not one.requests_only]
    parts = [
        "![CPU a request and a chunk, by contender](bench/results/cost.svg)",
        _table(SUMMARY, collected, contenders),
        "![the time between the tokens of one stream](bench/results/gaps.svg)",
        f"{dated} All of it, and the targets: [bench/results](bench/results/README.md).",
    ]
    return "\n\n".join(parts) + "\n"


def _scrapes(collected: Collected) -> list[str]:
    if not collected.values(MIDDLEWARE.name, "scrape1_cpu_ms"):
        return []
    return [SCRAPES_HEAD, _table(SCRAPES, collected, [MIDDLEWARE, STACK, STOCK])]


def _table(columns: Sequence[Column], collected: Collected, contenders: Sequence[Contender]) -> str:
    measured = [one for one in contenders if one.name in collected.figures]
    titles = ("", *(column.title for column in columns))
    return _lines(titles, [(one.label, *(column.cell(collected, one) for column in columns)) for one in measured])


def _lines(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shares(collected: Collected) -> str:
    """Of the whole stack, each process by itself."""
    said = []
    for title, figure in SHARED:
        parts = [(part, collected.median(STACK.name, f"{figure}:{part}")) for part in ("haproxy", "middleware")]
        if all(value is not None for _, value in parts):
            shares = ", ".join(
                f"{part} {rounded(value or 0.0)} {'ms' if figure.endswith('ms') else 'µs'}" for part, value in parts
            )
            said.append(f"{title}: {shares}")
    return f"Of our whole stack, {'; '.join(said)}." if said else ""


def _whole(starts: Starts | None, real: Real | None) -> list[str]:
    said = []
    if real is not None:
        rows = [
            (
                side,
                shown(real.tokens_per_second[side]),
                shown(real.ttft_ms[side]),
                shown(real.rollouts_per_second[side]),
            )
            for side in real.tokens_per_second
        ]
        said.append(
            "## The real engine on this CPU\n\nSGLang 0.5.23, SmolLM2-135M, 8 streams; the same engine, asked in turn."
        )
        said.append(_lines(("", "tokens a second", "TTFT ms, one stream", "rollouts a second, 8 at once"), rows))
    if starts is not None:
        said.append(
            f"## Start\n\n`vllm serve` until supervisord runs: {shown(starts.ours)} s of CPU, {starts.ratio:.1f} times "
            f"supervisord alone with an empty configuration ({shown(starts.supervisord)} s)."
        )
    return said
