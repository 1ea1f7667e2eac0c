"""The server's processes by what they are: program leaders, their children, what they hold, and what is dead and not
buried. `faults` finds its victims here, `round` measures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.schedule import PROGRAMS, SUPERVISORD
from tests.server import Server

PROC = Path("/proc")


def _stat(pid: int) -> tuple[str, int]:
    """The state, and the parent."""
    state, parent = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
    return state, int(parent)


def children(server: Server) -> Iterator[tuple[int, str]]:
    """Of supervisord: each with its state."""
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, parent = _stat(int(entry.name))
                if parent == server.process.pid:
                    yield int(entry.name), state


def leader(server: Server, program: str) -> int:
    """The pid of a program that runs, or 0."""
    for pid, state in children(server):
        with suppress(OSError):
            if (
                state != "Z"
                and f"SUPERVISION_LIFE={program}:{pid}".encode() in (PROC / str(pid) / "environ").read_bytes()
            ):
                return pid
    return 0


def leaders(server: Server) -> dict[str, int]:
    return {program: leader(server, program) for program in PROGRAMS}


def zombies(server: Server) -> list[int]:
    return [pid for pid, state in children(server) if state == "Z"]


def child_of_engine(server: Server) -> int:
    """One of the engine's own processes, whoever their parent is, or 0."""
    pid = leader(server, "sglang")
    for entry in PROC.iterdir():
        if entry.name.isdigit() and int(entry.name) != pid:
            with suppress(OSError):
                if f"SUPERVISION_LIFE=sglang:{pid}".encode() in (entry / "environ").read_bytes():
                    return int(entry.name)
    return 0


@dataclass(frozen=True)
class Size:
    memory: int  # bytes, resident
    files: int  # open

    def __str__(self) -> str:
        return f"{self.memory / 2**20:.1f} MB, {self.files} files"


def sizes(server: Server) -> dict[str, Size]:
    pids = {SUPERVISORD: server.process.pid, **leaders(server)}
    return {name: _size(PROC / str(pid)) for name, pid in pids.items() if pid}


def _size(process: Path) -> Size:
    pages = int((process / "statm").read_text().split()[1])
    return Size(pages * os.sysconf("SC_PAGE_SIZE"), len(list((process / "fd").iterdir())))
