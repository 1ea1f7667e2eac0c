"""CPU time from `vllm serve` to supervisord running, beside supervisord alone with an empty configuration. `make bench`
runs it; machines are noisy, so the ratio and the spread are the result.

    python bench/startup.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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


def cpu_seconds(pid: int) -> float:
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
        return cpu_seconds(process.pid)
    finally:
        process.terminate()
        process.wait()


def vllm_serve(folder: Path, port: int) -> float:
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VLLM_")},
        "VLLM_SHIM_RUN_DIR": str(folder / "run"),
        "VLLM_SHIM_LOG": str(folder / "shim.log"),
        "VLLM_SHIM_ENGINE": "sh -c 'sleep 600'",
        "VLLM_SHIM_PYTHON": sys.executable,
    }
    log = folder / "run/log/supervisord.log"
    words = [str(ROOT / "shims/bin/vllm"), *STACK, "--port", str(port)]
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return until(process, lambda: log.exists() and "supervisord started" in log.read_text())


def supervisord_alone(folder: Path) -> float:
    conf = folder / "empty.conf"
    conf.write_text(EMPTY.format(folder=folder))
    words = [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return until(process, (folder / "pid").exists)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    ours: list[float] = []
    alone: list[float] = []
    for number in range(runs):
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            ours.append(vllm_serve(Path(first), 20000 + 10 * number))
            alone.append(supervisord_alone(Path(second)))
    for name, seconds in (("vllm serve", ours), ("supervisord alone", alone)):
        print(
            f"{name:18} CPU s  min {min(seconds):.2f}  median {statistics.median(seconds):.2f}  max {max(seconds):.2f}"
        )
    print(f"ratio of the medians {statistics.median(ours) / statistics.median(alone):.1f}")


if __name__ == "__main__":
    main()
