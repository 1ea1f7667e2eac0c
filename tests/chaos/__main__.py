"""`python -m tests.chaos --seed 7 --rounds 3`: as many containers one after another, of the seeds 7, 8 and 9.
A round that fails tells its schedule and its story; its seed plays it again.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time

from tests.chaos import disk
from tests.chaos.round import play

SECONDS = 40.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    drawn = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(100_000))
    parser.add_argument("--seed", type=int, default=drawn, help="default: CHAOS_SEED, or any")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of trouble in each round")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    disk.go_inside(["--seed", str(options.seed), "--seconds", str(options.seconds), "--rounds", str(options.rounds)])
    if disk.INSIDE not in os.environ:
        print("nothing can be mounted here: no disk gets full")
    # Whoever is ended takes his servers along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    failed = []
    for seed in range(options.seed, options.seed + options.rounds):
        began = time.monotonic()
        played = play(seed, options.seconds)
        took = f"{time.monotonic() - began:.0f} s"
        if played.faults:
            failed.append(seed)
            print(played)
        print(f"seed {seed}, {took}: {'FAILED' if played.faults else 'good'}; {played.schedule.ending}")
        print("\n".join(f"  {line}" for line in played.said), flush=True)
    for seed in failed:
        print(f"again: python -m tests.chaos --seed {seed} --seconds {options.seconds:g}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
