"""What lies in the folders where compilers keep the kernels of one engine, and whether it outlives the container.
`prewarm` looks before and after.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shims import caches, places

AITER = "AITER_JIT_DIR"


@dataclass(frozen=True, slots=True)
class Contents:
    files: int = 0
    size: int = 0

    def __str__(self) -> str:
        return f"{self.files} files, {self.size / 1e6:.1f} MB"


def folders(env: Mapping[str, str]) -> list[str]:
    """Of an engine with this environment; none that lies in another of them."""
    found = places.in_force(env)
    wanted = {Path(found[name]) for name in caches.COMPILED} | ({Path(env[AITER])} if env.get(AITER) else set())
    return sorted(str(path) for path in wanted if not wanted & set(path.parents))


def contents(folder: str) -> Contents:
    """Without links: AITER's lead to the kernels that came with it."""
    files = size = 0
    for where, _, names in os.walk(folder):
        for name in names:
            path = Path(where, name)
            try:
                found = path.lstat()
            except OSError:  # a compiler's temporary file
                continue
            if not path.is_symlink():
                files, size = files + 1, size + found.st_size
    return Contents(files, size)


def on_a_volume(folder: str) -> bool:
    """Not in the container's own layer, which goes with it."""
    return any(path.is_mount() for path in (Path(folder), *Path(folder).parents) if path != Path("/"))
