"""The memory of this container as its cgroup counts it, version 2 or 1, and whom the kernel has killed for it.
`deaths` explains a death by it; `state` writes it down.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# Version 1 says a number of this size where there is no limit.
UNLIMITED = 1 << 60
# From the kill of a rank to the death of its engine. One of longer ago, of an exec'd tool perhaps, explains nothing.
FRESH_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Memory:
    """None: the cgroup does not say."""

    peak: int | None = None
    used: int | None = None  # without what the kernel can take back from its page cache, as the kubelet counts
    limit: int | None = None
    oom_kills: int = 0  # processes of this cgroup that the kernel has ended, since it was made


@dataclass(frozen=True, slots=True)
class Names:
    """The files of one version."""

    peak: str
    current: str
    limit: str
    kills: str
    reclaimable: bytes  # in memory.stat


V2 = Names("memory.peak", "memory.current", "memory.max", "memory.events", b"inactive_file")
V1 = Names(
    "memory.max_usage_in_bytes",
    "memory.usage_in_bytes",
    "memory.limit_in_bytes",
    "memory.oom_control",
    b"total_inactive_file",
)


class Cgroup:
    def __init__(self, root: Path = ROOT, own: Path = OWN) -> None:
        self._folder, self._names = _find(root, own)
        self._highest: int | None = None  # seen by us: memory.peak is of Linux 5.19

    def look(self) -> Memory:
        if self._folder is None:
            return Memory()
        names, folder = self._names, self._folder
        current = _number(folder / names.current)
        if current is not None:
            self._highest = max(self._highest or 0, current)
        peak, limit = _number(folder / names.peak), _number(folder / names.limit)
        return Memory(
            peak=self._highest if peak is None else peak,
            used=None if current is None else max(0, current - _row(folder / "memory.stat", names.reclaimable)),
            limit=None if limit is None or limit >= UNLIMITED else limit,
            oom_kills=_row(folder / names.kills, b"oom_kill"),
        )


class Kills:
    """Tells which death the kernel's count explains: one that came just after it grew, and each growth once."""

    def __init__(self, cgroup: Cgroup, clock: Callable[[], float] = time.monotonic) -> None:
        self._cgroup = cgroup
        self._clock = clock
        self._count = cgroup.look().oom_kills
        self._grown = -FRESH_SECONDS
        self._next_look = 0.0

    def watch(self) -> None:
        """As often as one likes: it looks once a second."""
        if self._clock() >= self._next_look:
            self._next_look = self._clock() + 1
            self.look()

    def look(self) -> Memory:
        now = self._cgroup.look()
        if now.oom_kills > self._count:
            self._count, self._grown = now.oom_kills, self._clock()
        return now

    def explain(self, *, killed: bool) -> str:
        """Half a sentence, or nothing. `killed`: by a signal that nobody here has sent."""
        now = self.look()
        if self._clock() - self._grown >= FRESH_SECONDS:
            return ""
        self._grown = -FRESH_SECONDS
        # A rank that is killed takes SGLang's other processes with it, which then end as they like.
        who = "killed by the kernel for memory" if killed else "after the kernel had killed a process of it for memory"
        limit = "the node has none left" if now.limit is None else f"the container's limit is {size(now.limit)}"
        return f"{who}: {limit}, its peak was {size(now.peak)}"


def _find(root: Path, own: Path) -> tuple[Path | None, Names]:
    """Our own, or what is mounted in its place: a container sees its cgroup as the root, its path is the host's."""
    try:
        lines = own.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    entries = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    paths = {controllers: path.lstrip("/") for _, controllers, path in entries}
    for mount, controller, names in ((root, "", V2), (root / "memory", "memory", V1)):
        for folder in (mount / paths.get(controller, ""), mount):
            if _number(folder / names.current) is not None:
                return folder, names
    return None, V2


def _number(file: Path) -> int | None:
    try:
        return int(file.read_bytes())
    except (OSError, ValueError):  # "max", or there is none
        return None


def _row(file: Path, name: bytes) -> int:
    try:
        rows = (line.split() for line in file.read_bytes().splitlines())
        return next((int(row[1]) for row in rows if row[:1] == [name]), 0)
    except (OSError, ValueError, IndexError):
        return 0


def size(count: int | None) -> str:
    return "unknown" if count is None else f"{count / (1 << 30):.3g} GiB"
