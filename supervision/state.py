"""The state file: what this container is doing, written down while it can, because `kill -9` leaves no time for words.
`container` makes it, `supervisor` has it look in each turn; `previous` reads it when the next container starts.
"""

import json
import os
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from supervisor.states import SupervisorStates

from supervision.memory import Cgroup
from supervision.progress import START, STOPPING, Progress
from supervision.settings import Settings
from supervision.transcript import Transcript

VERSION = 1
LOOK_SECONDS = 1.0
WRITE_SECONDS = 5.0
DEATHS_KEPT = 10


@dataclass(frozen=True, slots=True)
class Death:
    at: float
    how: str  # "exit code 37", "signal SIGKILL"
    why: str
    phase: str


@dataclass(slots=True)
class Program:
    deaths: deque[Death] = field(default_factory=lambda: deque(maxlen=DEATHS_KEPT))  # those that nobody ordered
    births: int = 0


class State:
    """Lives as long as the container: a reload of supervisord changes its settings, and not what has happened."""

    def __init__(self, transcript: Transcript, cgroup: Cgroup | None = None) -> None:
        self.settings = Settings()
        self.progress = Progress(transcript)
        self.cgroup = cgroup or Cgroup()
        self.phase = START
        self.refusal = ""  # why supervisord itself cannot start
        self._started = self._since = time.time()
        self._kills_before = self.cgroup.look().oom_kills
        self._programs: dict[str, Program] = {}
        self._ended: dict[str, Any] | None = None
        self._next_look = self._next_write = 0.0

    def look(self, processes: list[Any], mood: int) -> None:
        now, running = time.monotonic(), mood == SupervisorStates.RUNNING
        if now < self._next_look and running == (self.phase != STOPPING):
            return
        self._next_look = now + LOOK_SECONDS
        phase = self.progress.of_all(self.settings, processes) if running else STOPPING
        if phase != self.phase:
            self.phase, self._since = phase, time.time()
            self.write()
        elif now >= self._next_write:
            self.write()

    def born(self, program: str) -> None:
        self._programs.setdefault(program, Program()).births += 1
        self.progress.born(program)
        self.write()

    def died(self, program: str, death: Death) -> None:
        self._programs.setdefault(program, Program()).deaths.append(death)
        self.write()

    def end(self, code: int, why: str) -> None:
        self._ended = {"at": time.time(), "code": code, "why": why}
        self.write()

    def write(self) -> None:
        """A full or read-only disk changes nothing else, and the file that was there stays whole."""
        path = self.settings.state_file
        if path is None:
            return
        self._next_write = time.monotonic() + WRITE_SECONDS
        with suppress(OSError):
            replace(path, json.dumps(self._document()).encode())

    def _document(self) -> dict[str, Any]:
        memory = self.cgroup.look()
        return {
            "version": VERSION,
            "host": socket.gethostname(),
            "started": self._started,
            "updated": time.time(),
            "phase": self.phase,
            "since": self._since,
            "memory_bytes": memory.used,
            "peak_memory_bytes": memory.peak,
            "memory_limit_bytes": memory.limit,
            "oom_kills": max(0, memory.oom_kills - self._kills_before),
            "programs": {
                name: {"deaths": [asdict(death) for death in program.deaths], "restarts": max(0, program.births - 1)}
                for name, program in self._programs.items()
            },
            "ended": self._ended,
        }


def replace(path: Path, content: bytes) -> None:
    """Raises OSError. A reader finds the old or the new, whole; a link that lies there is replaced, not followed."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a container that was ended while it wrote
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(content)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise
