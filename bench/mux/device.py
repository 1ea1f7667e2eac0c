"""The device that the stand-ins share, with room for one: who came and went when, and who was found beside another.
Made by `bench.mux.contenders` for each start; read by the scenarios and by `bench.mux.picture`.

tests/fakes/occupation.py enforces it: who starts or wakes beside another dies, as of a GPU that is full.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.cpu import command

# What SGLang's control calls and a start cost here, in seconds: those that sglangmux was first measured with.
COSTS = {
    "STANDIN_RELEASE_SECONDS": "0.2",
    "STANDIN_RESUME_SECONDS": "0.3",
    "STANDIN_UPDATE_SECONDS": "0.5",
    "STANDIN_LOAD_SECONDS": "2",
    "STANDIN_LOAD_REFUSES": "1",
}
STAND_INS = ("tests/fakes/sglang.py", "bench/standin.py")
# Memory must be seen to be freed: what a GPU's driver tells, in MiB.
NVIDIA_SMI = '#!/bin/sh\necho $(($(cat "{folder}/used") / 1048576))\n'


@dataclass(frozen=True, slots=True)
class Event:
    at: float
    pid: int
    model: str
    what: str  # resident, leaves (it begins to), gone, dies


@dataclass(frozen=True, slots=True)
class Stay:
    """A model on the device: awake or waking; `leaving` is when it began to go."""

    model: str
    since: float
    leaving: float
    until: float


class Device:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        (folder / "used").write_text("0")
        tool = folder / "bin/nvidia-smi"
        tool.write_text(NVIDIA_SMI.format(folder=folder))
        tool.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        return {"STANDIN_DEVICE": str(self.folder), "STANDIN_QUIET": "1", "PATH": path, **COSTS}

    @property
    def events(self) -> list[Event]:
        file = self.folder / "events"
        lines = file.read_text().splitlines() if file.exists() else []
        return [Event(**json.loads(line)) for line in lines]

    @property
    def deaths(self) -> int:
        return sum(event.what == "dies" for event in self.events)

    def stays(self, end: float) -> list[Stay]:
        return list(stays(self.events, end))

    def processes(self) -> list[int]:
        """The model servers that run now: those that were given this device."""
        mark = f"STANDIN_DEVICE={self.folder}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and any(name in command(int(entry.name)) for name in STAND_INS):
                with contextlib.suppress(OSError):
                    if mark in (entry / "environ").read_bytes() + b"\0":
                        found.append(int(entry.name))
        return sorted(found)

    def clear(self) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def stays(events: Iterable[Event], end: float) -> Iterator[Stay]:
    """One that was killed says nothing of it: it was there until the next came, or until the end."""
    here: Event | None = None
    leaving = 0.0
    for event in events:
        if event.what == "resident":
            if here is not None:
                yield Stay(here.model, here.at, leaving or event.at, event.at)
            here, leaving = event, 0.0
        elif here is not None and event.pid == here.pid:
            if event.what == "leaves":
                leaving = leaving or event.at
            else:
                yield Stay(here.model, here.at, leaving or event.at, event.at)
                here = None
    if here is not None:
        yield Stay(here.model, here.at, leaving or end, end)
