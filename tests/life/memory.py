"""A memory cgroup of our own, as a container with a limit has one: version 2 or 1, for root alone.
Used by `deaths` for what the kernel does to a container that needs more.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def can_be_made() -> bool:
    with contextlib.suppress(OSError), group(1 << 30):
        return True
    return False


@contextlib.contextmanager
def group(limit_bytes: int) -> Iterator[Path]:
    """Whoever is written to its `cgroup.procs` lives in it, with what it starts. Raises OSError."""
    is_old = (ROOT / "memory").is_dir()
    folder = (ROOT / "memory" if is_old else ROOT) / f"tests-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / ("memory.limit_in_bytes" if is_old else "memory.max")).write_text(str(limit_bytes))
        for name in ("memory.memsw.limit_in_bytes",) if is_old else ("memory.swap.max",):
            with contextlib.suppress(OSError):  # without swap there is nothing to limit
                (folder / name).write_text(str(limit_bytes) if is_old else "0")
        yield folder
    finally:
        for _ in range(100):  # the dead leave it a moment after they are reaped
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.05)
