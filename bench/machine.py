"""This machine: which cores carry what, what is installed, and what the figures must be dated with."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTENDERS = ROOT / ".venv-bench"
WRK, HAPROXY, TASKSET = "wrk", "haproxy", "taskset"
PACKAGES = {WRK: "wrk", HAPROXY: "haproxy", TASKSET: "util-linux"}
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin"
OPEN_FILES = 65536


class Missing(Exception):
    """What is to be installed, in one sentence."""


def require(tools: Iterable[str] = tuple(PACKAGES)) -> None:
    """Also lets this process, and all that it starts, find haproxy and open enough sockets."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
    packages = [PACKAGES[tool] for tool in tools if shutil.which(tool) is None]
    if packages:
        names = " ".join(packages)
        raise Missing(f"the bench needs {' and '.join(packages)} (Debian and Ubuntu: apt-get install {names})")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@dataclass(frozen=True, slots=True)
class Cores:
    """What is measured has one to itself; the stand-in, the clients and this process share the other."""

    everything: tuple[int, ...]

    @property
    def load(self) -> int:
        return self.everything[0]

    @property
    def measured(self) -> int:
        return self.everything[-1]


def cores() -> Cores:
    return Cores(tuple(sorted(os.sched_getaffinity(0))))


def described() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "processor": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load average": " ".join(f"{value:.2f}" for value in os.getloadavg()),
        "commit": _first_line("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "versions": ", ".join(
            (
                f"Python {platform.python_version()}",
                _first_line(HAPROXY, "-v").partition("-")[0].replace(" version", ""),
                _packages(Path(sys.executable), "uvicorn", "uvloop", "httptools"),
                _packages(CONTENDERS / "bin/python", "sglang-router", "sglangmux", "starlette", "httpx"),
            )
        ),
    }


def _processor() -> str:
    found: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    model = found.get("model name", platform.machine())
    return f"{model} (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else model


def _first_line(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0].strip() or "unknown"


def _packages(python: Path, *names: str) -> str:
    code = "import importlib.metadata as m, sys; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
    return _first_line(str(python), "-c", code, *names)
