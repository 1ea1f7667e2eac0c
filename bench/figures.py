"""How each figure is measured on a contender that runs: `bench.rounds` asks for all of them, `bench.table` shows them.
A measurement in which any answer was wrong or missing gives no figure but a sentence.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from bench.bodies import CHAT, COMPLETIONS, Bodies
from bench.contenders import Contender, Running
from bench.cpu import cpu_seconds, resident_bytes
from bench.load import load
from bench.machine import ROOT
from bench.quantiles import quantile
from bench.running import posted
from bench.sizes import Sizes
from bench.streams import Asked, Seen

MEGABYTE = 1024 * 1024
WORDS = {"large": "1 MB requests", "ids": "200,000 token ids"}


@dataclass
class Sheet:
    """What one round of one contender gave."""

    figures: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bench:
    contender: Contender
    running: Running
    bodies: Bodies
    sizes: Sizes
    sheet: Sheet

    def objects(self, what: str, why: str) -> None:
        self.sheet.problems.append(f"{self.contender.label}, {what}: {why}")

    def streams(self, what: str, **asked: Any) -> Seen | None:
        seen = watch(Asked(port=self.running.port, pids=self.running.pids, **asked))
        if seen.broken:
            self.objects(what, seen.broken[0])
            return None
        return seen


def watch(asked: Asked) -> Seen:
    words = [sys.executable, "-m", "bench.streams", json.dumps(dataclasses.asdict(asked))]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    return Seen(**json.loads(done.stdout))


def requests(bench: Bench) -> None:
    running, figures, seconds = bench.running, bench.sheet.figures, bench.sizes.seconds
    if not bench.sizes.brief:
        load(running.port, CHAT, bench.bodies.small, connections=32, seconds=1)
    done = load(running.port, CHAT, bench.bodies.small, connections=32, seconds=seconds, pids=running.pids)
    if done.errors:
        bench.objects("small requests", f"{done.errors} of {done.requests} went wrong")
        return
    figures["small_rps"] = done.requests / done.seconds
    figures["small_cpu_ms"] = done.cpu_ms()
    for name, pids in running.parts.items():
        figures[f"small_cpu_ms:{name}"] = sum(done.cpu_ms(running.pids.index(pid)) for pid in pids)


def one_at_a_time(bench: Bench) -> None:
    done = load(bench.running.port, CHAT, bench.bodies.small, connections=1, seconds=1)
    if done.errors:
        bench.objects("one small request at a time", f"{done.errors} went wrong")
    else:
        bench.sheet.figures["alone_p50_ms"] = done.p50_ms


def large_requests(bench: Bench) -> None:
    running, figures = bench.running, bench.sheet.figures
    for name, path, body in (("large", CHAT, bench.bodies.large), ("ids", COMPLETIONS, bench.bodies.ids)):
        status = posted(running.port, path, body.read_bytes())[0]
        if status != HTTPStatus.OK:
            bench.objects(WORDS[name], f"it answers {status}")
            continue
        done = load(running.port, path, body, connections=4, seconds=bench.sizes.seconds, pids=running.pids)
        if done.errors:
            bench.objects(WORDS[name], f"{done.errors} of {done.requests} went wrong")
        else:
            figures[f"{name}_cpu_ms"] = done.cpu_ms()


def many_streams(bench: Bench) -> None:
    for count in bench.sizes.many:
        seen = bench.streams(f"{count} streams", streams=count, tokens=bench.sizes.tokens, pace_ms=20.0, steady=True)
        if seen is None or not bench.contender.streams:
            continue
        figures = bench.sheet.figures
        figures[f"chunk{count}_us"] = sum(seen.cpu) / seen.events * 1e6
        figures[f"gap{count}_p50_ms"] = seen.gap_p50_ms
        figures[f"gap{count}_p99_ms"] = seen.gap_p99_ms
        for name, pids in bench.running.parts.items():
            spent = sum(seen.cpu[bench.running.pids.index(pid)] for pid in pids)
            figures[f"chunk{count}_us:{name}"] = spent / seen.events * 1e6


def first_tokens(bench: Bench) -> None:
    for count, repeats in ((1, bench.sizes.firsts), (64, bench.sizes.bursts)):
        seen = bench.streams(f"{count} first tokens", streams=count, tokens=3, pace_ms=2.0, repeats=repeats)
        if seen is not None:
            # The first of all finds no connection to the engine.
            later = seen.ttft_ms[count:]
            bench.sheet.figures[f"ttft{count}_p50_ms"] = quantile(later, 0.5)
            bench.sheet.figures[f"ttft{count}_p99_ms"] = quantile(later, 0.99)


def large_beside_streams(bench: Bench) -> None:
    if not bench.contender.streams:
        return
    for name, path, body in (("large", CHAT, bench.bodies.large), ("ids", COMPLETIONS, bench.bodies.ids)):
        beside = {"large": str(body), "large_path": path, "large_count": bench.sizes.large}
        tokens = 25 * (bench.sizes.large + 1)
        # What is refused holds up nobody.
        if f"{name}_cpu_ms" not in bench.sheet.figures:
            continue
        seen = bench.streams(f"{WORDS[name]} beside streams", streams=32, tokens=tokens, pace_ms=20.0, **beside)
        if seen is not None:
            bench.sheet.figures[f"stall_{name}_ms"] = quantile(seen.stalls_ms, 0.5)
            bench.sheet.figures[f"stall_{name}_max_ms"] = max(seen.stalls_ms)
            bench.sheet.figures[f"calm_{name}_ms"] = quantile(seen.calm_ms, 0.5)


def idle(bench: Bench) -> None:
    before, started = cpu_seconds(bench.running.pids), time.perf_counter()
    time.sleep(0.3 if bench.sizes.brief else 1.0)
    spent = cpu_seconds(bench.running.pids) - before
    bench.sheet.figures["idle_ms_per_s"] = spent / (time.perf_counter() - started) * 1000


def memory(bench: Bench) -> None:
    pids, figures = bench.running.pids, bench.sheet.figures
    if not bench.contender.streams or not pids:
        return
    figures["rss_before_mb"] = resident_bytes(pids) / MEGABYTE
    asked = Asked(
        port=bench.running.port, streams=bench.sizes.held, tokens=12, pace_ms=250.0 if bench.sizes.held > 100 else 50.0
    )
    words = [sys.executable, "-m", "bench.streams", json.dumps(dataclasses.asdict(asked))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=ROOT) as client:
        peak = 0
        while client.poll() is None:
            peak = max(peak, resident_bytes(pids))
            time.sleep(0.05)
        assert client.stdout is not None
        seen = Seen(**json.loads(client.stdout.read()))
    if seen.broken:
        bench.objects(f"{bench.sizes.held} streams", seen.broken[0])
        return
    time.sleep(1.0)
    figures["rss_held_mb"] = peak / MEGABYTE
    figures["rss_after_mb"] = resident_bytes(pids) / MEGABYTE


MEASUREMENTS: tuple[Callable[[Bench], None], ...] = (
    idle, requests, one_at_a_time, first_tokens, many_streams, large_requests, large_beside_streams,
)  # fmt: skip
# In the first round only: it hardly differs.
ONCE: tuple[Callable[[Bench], None], ...] = (memory,)
BEYOND_BRIEF: tuple[Callable[[Bench], None], ...] = (one_at_a_time, large_beside_streams)


def measure(bench: Bench, *, first: bool) -> None:
    if bench.contender.requests_only:
        requests(bench)
        return
    left_out = BEYOND_BRIEF if bench.sizes.brief else ()
    for measurement in (*MEASUREMENTS, *(ONCE if first else ())):
        if measurement not in left_out:
            measurement(bench)
