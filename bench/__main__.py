"""`make bench`: all figures in one run, ten to twenty minutes; `make bench QUICK=1` shows in one that it works.

python -m bench [--quick] [--only NAME ...] [--out FOLDER] [--no-engine]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from pathlib import Path

from bench import machine, pictures, real, startup, table
from bench.contenders import CONTENDER_LIST
from bench.rounds import DRAWN_PACE_MS, Collected, collect
from bench.running import Failed
from bench.sizes import FULL, QUICK

RESULTS = machine.ROOT / "bench/results"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round: figures that prove nothing")
    names = [one.name for one in CONTENDER_LIST]
    parser.add_argument("--only", nargs="*", default=[], choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, help="where the table, the pictures and results.json go")
    parser.add_argument("--no-engine", action="store_true", help="leave the real engine out")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    sizes = QUICK if options.quick else FULL
    # A quick run is not what the README shows.
    out: Path = options.out or (machine.ROOT / ".cache/bench" if options.quick else RESULTS)
    started = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - started:4.0f} s] {what}", flush=True)

    try:
        machine.require()
    except machine.Missing as missing:
        print(f"bench: {missing}", file=sys.stderr)
        return 1
    described = machine.described()
    all_cores = machine.cores()
    if len(all_cores.everything) < 2:
        say("one core only: what is measured shares it with its clients, and only the CPU figures mean something")
    os.sched_setaffinity(0, {all_cores.load})
    collected = collect(sizes, all_cores, say, options.only)
    os.sched_setaffinity(0, all_cores.everything)
    rounds = 0 if options.no_engine else sizes.real_rounds
    say("starts of vllm serve")
    starts = startup.measured(sizes.starts)
    end_to_end = _real(rounds, collected, say)
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    run = f"{sizes.rounds} rounds, {time.monotonic() - started:.0f} s" + (", quick" if options.quick else "")
    described |= {"load average at the end": load, "run": run}
    out.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": described,
        **dataclasses.asdict(collected),
        "startup": dataclasses.asdict(starts),
        "real": end_to_end.to_json() if end_to_end is not None else None,
    }
    text = table.markdown(described, collected, starts, end_to_end)
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    (out / "README.md").write_text(text)
    (out / "summary.md").write_text(table.summary(described, collected))
    subtitle = f"{described['date']}, {described['processor']}; the proxy alone on one core, SGLang's recorded answers"
    (out / "cost.svg").write_text(pictures.cost(collected, subtitle))
    (out / "gaps.svg").write_text(pictures.gaps(collected.gaps, DRAWN_PACE_MS))
    print(text, *collected.problems, sep="\n")
    say(f"written to {out}")
    return 0


def _real(rounds: int, collected: Collected, say: real.Say) -> real.Real | None:
    if not rounds:
        return None
    try:
        return real.measured(rounds, say)
    except (real.Skipped, Failed) as why:
        collected.problems.append(f"the real engine: {why}")
        return None


if __name__ == "__main__":
    sys.exit(main())
