"""CPU time from `vllm serve` to supervisord running, beside supervisord alone with an empty configuration; machines are
noisy, so the ratio and the spread are the result. Called by `bench.__main__`; alone: `python -m bench.startup [RUNS]`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import ROOT
from bench.running import environment, free_port

TICK = os.sysconf("SC_CLK_TCK")
STACK = (
    *("serve", "org/model", "--host", "127.0.0.1", "--no-enable-prefix-caching", "--max-model-len", "4096"),
    *("--dtype", "bfloat16", "--tensor-parallel-size", "8", "--max-num-seqs", "32", "--gpu_memory_utilization", "0.8"),
    *("--kv-transfer-config", '{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"}'),
)
EMPTY = """[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/pid
[unix_http_server]
file={folder}/sock
"""


@dataclass
class Starts:
    """CPU seconds of each."""

    ours: list[float] = field(default_factory=list)
    supervisord: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ours) / statistics.median(self.supervisord)


def measured(runs: int) -> Starts:
    starts = Starts()
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            starts.ours.append(vllm_serve(Path(first), free_port()))
            starts.supervisord.append(supervisord_alone(Path(second)))
    return starts


def cpu_seconds_of_all(pid: int) -> float:
    """Of the process and the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK


def until(process: subprocess.Popen[bytes], running: Callable[[], bool]) -> float:
    """CPU seconds until it runs; the process is stopped then."""
    try:
        while not running():
            if process.poll() is not None:
                raise SystemExit(f"{process.args!r}: it ended with {process.returncode}")
            time.sleep(0.002)
        return cpu_seconds_of_all(process.pid)
    finally:
        process.terminate()
        process.wait()


def vllm_serve(folder: Path, port: int) -> float:
    env = {
        "VLLM_SHIM_RUN_DIR": str(folder / "run"),
        "VLLM_SHIM_LOG": str(folder / "shim.log"),
        "VLLM_SHIM_ENGINE": "sh -c 'sleep 600'",
        "VLLM_SHIM_PYTHON": sys.executable,
    }
    log = folder / "run/log/supervisord.log"
    words = [str(ROOT / "shims/bin/vllm"), *STACK, "--port", str(port)]
    process = subprocess.Popen(words, env=environment(env), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return until(process, lambda: log.exists() and "supervisord started" in log.read_text())


def supervisord_alone(folder: Path) -> float:
    conf = folder / "empty.conf"
    conf.write_text(EMPTY.format(folder=folder))
    words = [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return until(process, (folder / "pid").exists)


def main() -> None:
    starts = measured(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
    for name, seconds in (("vllm serve", starts.ours), ("supervisord alone", starts.supervisord)):
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(f"{name:18} CPU s  min {low:.2f}  median {middle:.2f}  max {high:.2f}")
    print(f"ratio of the medians {starts.ratio:.1f}")


if __name__ == "__main__":
    main()
