"""How much memory each GPU of this machine has, and how a process is held to some of them. `several` asks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from shims.exceptions import CommandLineError
from shims.places import amd_nodes, text

GIB = 1 << 30
MIB_A_GIB = 1024
# HIP reads its own first, and torch's ROCm build both: different ones would be two opinions.
VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
# Its own order is the fastest first, nvidia-smi's is by the bus: different GPUs would have two numbers each.
ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
NVIDIA = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")
PATIENCE_SECONDS = 20


def memory(machine: Path = Path("/")) -> tuple[float, ...]:
    """GiB of each device, by its number. AMD's kernel driver lists them in files; NVIDIA's tells its own program."""
    found: list[float] = []
    for node, _ in amd_nodes(machine):
        banks = "".join(map(text, node.glob("mem_banks/*/properties")))
        sizes = re.findall(r"^size_in_bytes (\d+)$", banks, re.MULTILINE)
        found.append(sum(map(int, sizes)) / GIB)
    return tuple(found) or _of_nvidia(machine)


def of_process(devices: Sequence[int] | None, architecture: str, env: Mapping[str, str]) -> dict[str, str]:
    """What a process is told, so that it sees these alone; None: all of them. `env` is its own before that."""
    if devices is None:
        return {}
    listed = ",".join(map(str, devices))
    if architecture.startswith("gfx"):
        return dict.fromkeys(VARIABLES, listed)
    order = {name: value for name, value in ORDER.items() if devices and not env.get(name)}
    return {VARIABLES[0]: listed, **order}


def visible(env: Mapping[str, str]) -> tuple[int, ...] | None:
    """What the container's own variable leaves of the machine's devices; None: all. Raises CommandLineError."""
    for name in reversed(VARIABLES):
        if text := env.get(name, "").strip():
            words = [word.strip() for word in text.split(",")]
            if not all(word.isdecimal() for word in words):
                raise CommandLineError(f"{name} is '{text:.60}': beside `devices` it must hold numbers; unset it")
            return tuple(map(int, words))
    return None


def _of_nvidia(machine: Path) -> tuple[float, ...]:
    if not (machine / "proc/driver/nvidia/gpus").is_dir():
        return ()
    try:
        run = subprocess.run(NVIDIA, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        return tuple(int(line) / MIB_A_GIB for line in run.stdout.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
