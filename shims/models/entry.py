"""One model as a file asks for it, and all that the files ask for together. The readers make them - `read`,
`sglangmux`, `llama_swap` - and `several` makes a Plan of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from shims.exceptions import CommandLineError

JOINED = ("entries", "common", "files", "notes")  # of Asked: what each FILE adds to


@dataclass(frozen=True, slots=True)
class Limits:
    queue: int = 256
    concurrency: int = 0
    max_wait: float = 30
    min_residency: float | None = None
    drain: float = 30
    ready: float = 600
    switch: float = 120
    upstream: float = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """Of `serve`, `script` and `cmd` it has one."""

    file: str
    line: int
    serve: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    script: str = ""  # of sglangmux: a file that starts SGLang with flags of its own
    words: tuple[str, ...] = ()  # what that script gives SGLang, as far as it can be read
    name: str = ""
    aliases: tuple[str, ...] = ()
    port: int = 0
    health: str = "/health"
    devices: tuple[int, ...] | None = None  # None: it may be on any; (): on none
    memory_gib: float = 0.0
    host_memory_gib: float = 0.0
    env: Mapping[str, str] = field(default_factory=dict)
    tier: str = "stopped"
    ttl: float = 0
    pin: bool = False
    preload: bool = False
    priority: int = 1
    group: str = ""
    limits: Limits = field(default_factory=Limits)
    lines: Mapping[str, int] = field(default_factory=dict)  # of its keys
    notes: tuple[str, ...] = ()  # what of the file was not taken over, or differently

    def wrong(self, sentence: str, key: str = "") -> CommandLineError:
        return CommandLineError(f"{self.at(key)}: {sentence}")

    def at(self, key: str = "") -> str:
        return f"{self.file}:{self.lines.get(key, self.line)}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What one FILE says, or all of them."""

    entries: tuple[Entry, ...] = ()
    common: tuple[str, ...] = ()
    default: str | None = None
    default_after: float | None = None
    device_memory_gib: Mapping[int, float] | float | None = None
    slots: int | None = None
    host_memory_gib: float | None = None
    queue: int | None = None
    request: float | None = None
    page: int | None = None
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def and_then(self, other: Asked) -> Asked:
        """Of several FILEs. Raises CommandLineError for what both say: neither is the later one."""
        given: dict[str, Any] = {}
        for one in fields(self):
            mine, theirs = getattr(self, one.name), getattr(other, one.name)
            if one.name in JOINED:
                given[one.name] = (*mine, *theirs)
            elif mine is not None and theirs is not None:
                both = f"{', '.join(self.files)} and {', '.join(other.files)}"
                raise CommandLineError(f"{one.name} is given by {both}: leave one out")
            else:
                given[one.name] = theirs if mine is None else mine
        return Asked(**given)
