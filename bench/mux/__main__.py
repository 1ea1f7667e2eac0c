"""`make bench-mux`: several models behind one endpoint, ours beside sglangmux 0.1.1, in about ten minutes.

python -m bench.mux [--rounds N] [--only NAME ...] [--scenarios NAME ...] [--keep] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from bench import machine
from bench.mux import latency, picture, table
from bench.mux.contenders import CONTENDER_LIST, SCRIPTS, SGLANGMUX, Contender, Place
from bench.mux.device import COSTS, Device
from bench.mux.scenarios import SCENARIOS, Figures, Scenario, begin
from bench.running import Failed

Measured = dict[str, dict[str, list[Figures]]]
RESULTS = machine.ROOT / "bench/results"
LATENCY = "latency"
COSTS_SAID = (
    "a release {STANDIN_RELEASE_SECONDS} s, a resume {STANDIN_RESUME_SECONDS} s, weights from disk"
    " {STANDIN_UPDATE_SECONDS} s, a start {STANDIN_LOAD_SECONDS} s"
).format(**COSTS)
LATENCY_SECONDS = 3
LATENCY_ROUNDS = 3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.mux", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    names = [one.name for one in CONTENDER_LIST]
    parser.add_argument("--only", nargs="*", default=names, choices=names, metavar="NAME", help=", ".join(names))
    names = [*(one.name for one in SCENARIOS), LATENCY]
    parser.add_argument("--scenarios", nargs="*", default=names, choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--keep", action="store_true", help="what is not measured now stays as it was measured before")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the table, the picture and mux.json go")
    return parser.parse_args()


async def one_round(contender: Contender, scenario: Scenario, folder: Path) -> Figures:
    place = Place(folder, Device(folder / "device"), env={"STANDIN_DELAY_MS": str(scenario.token_ms)})
    with contender.start(place) as front:
        if not scenario.starts:
            await begin(front)
        return await scenario.run(front)


async def added_latency(contender: Contender, folder: Path) -> list[dict[str, float]]:
    cores = machine.cores()
    place = Place(folder, Device(folder / "device"), core=cores.measured, engine_core=cores.load)
    os.sched_setaffinity(0, {cores.load})
    try:
        with contender.start(place) as front:
            await begin(front)
            return await latency.measured(front, folder, LATENCY_ROUNDS, LATENCY_SECONDS)
    finally:
        os.sched_setaffinity(0, cores.everything)


def main() -> int:
    options = arguments()
    started = time.monotonic()
    try:
        machine.require()
    except machine.Missing as missing:
        print(f"bench: {missing}", file=sys.stderr)
        return 1
    described = machine.described()
    measured: Measured = {}

    def say(what: str) -> None:
        print(f"[{time.monotonic() - started:4.0f} s] {what}", flush=True)

    with tempfile.TemporaryDirectory(prefix="bench-mux-") as parent:
        for one in (each for each in CONTENDER_LIST if each.name in options.only):
            found = measured.setdefault(one.name, {})
            for scenario in (each for each in SCENARIOS if each.name in options.scenarios):
                for number in range(options.rounds):
                    say(f"{one.label}: {scenario.name}, {number + 1}")
                    folder = Path(tempfile.mkdtemp(dir=parent))
                    figures = asyncio.run(one_round(one, scenario, folder))
                    found.setdefault(scenario.name, []).append(figures)
                    told = {name: value for name, value in figures.items() if name != "drawn"}
                    say(f"    {json.dumps(told)}")
            if LATENCY in options.scenarios and one in (SGLANGMUX, SCRIPTS):
                say(f"{one.label}: latency")
                folder = Path(tempfile.mkdtemp(dir=parent))
                found[LATENCY] = [*asyncio.run(added_latency(one, folder))]
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    described |= {
        "load average at the end": load,
        "run": f"rounds: {options.rounds}; {time.monotonic() - started:.0f} s",
    }
    if options.keep:
        again = f"{', '.join(options.scenarios)} of {', '.join(options.only)}: {described['date']}; {described['run']}"
        described, measured = _kept(options.out, measured)
        described["measured again"] = again
    write(options.out, described, measured)
    say(f"written to {options.out}")
    return 0


def _kept(out: Path, measured: Measured) -> tuple[dict[str, str], Measured]:
    last = json.loads((out / "mux.json").read_text())
    names = [one.name for one in CONTENDER_LIST if one.name in {*last["measured"], *measured}]
    both = {name: last["measured"].get(name, {}) | measured.get(name, {}) for name in names}
    return last["machine"], both


def write(out: Path, described: dict[str, str], measured: Measured) -> None:
    out.mkdir(parents=True, exist_ok=True)
    text = table.markdown(described, measured)
    (out / "mux.json").write_text(json.dumps({"machine": described, "measured": measured}, indent=1) + "\n")
    (out / "mux.md").write_text(text)
    loads = {name: found["thrash"][0] for name, found in measured.items() if "thrash" in found}
    if loads:
        (out / "mux.svg").write_text(picture.drawn(loads, f"{described['date']}; {COSTS_SAID}; dots are answers"))
    print(text)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"bench: {failure}")
