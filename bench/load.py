"""Requests as fast as they are answered, by wrk; and what they cost the processes that are measured."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cpu import cpu_seconds

SCRIPT = Path(__file__).resolve().parent / "wrk.lua"


@dataclass(frozen=True, slots=True)
class Load:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu: tuple[float, ...]  # seconds, of each pid that was given

    def cpu_ms(self, index: int | None = None) -> float:
        """A request; of all pids, or of one."""
        spent = sum(self.cpu) if index is None else self.cpu[index]
        return spent / self.requests * 1000


def load(port: int, path: str, body: Path, *, connections: int, seconds: int, pids: Sequence[int] = ()) -> Load:
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
    before = [cpu_seconds([pid]) for pid in pids]
    done = subprocess.run(
        [*words, f"http://127.0.0.1:{port}{path}"],
        env={**os.environ, "BODY": str(body)},
        capture_output=True,
        text=True,
        check=True,
    )
    cpu = tuple(cpu_seconds([pid]) - start for pid, start in zip(pids, before, strict=True))
    counted = json.loads(done.stdout.strip().rpartition("\n")[2])
    return Load(
        requests=counted["requests"],
        seconds=counted["microseconds"] / 1e6,
        p50_ms=counted["p50"] / 1000,
        p99_ms=counted["p99"] / 1000,
        errors=counted["errors"],
        cpu=cpu,
    )
