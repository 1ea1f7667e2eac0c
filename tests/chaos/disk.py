"""A small disk of our own, in a mount namespace of our own, that can be filled without harm to anybody.
`__main__` goes into the namespace, where that is allowed; `faults` fills it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

INSIDE = "CHAOS_MOUNTS_ARE_PRIVATE"
# By root, and by who may at least become root of a namespace.
WAYS = (("unshare", "--mount"), ("unshare", "--map-root-user", "--mount"))
SIZE = "64m"


def go_inside(words: Sequence[str]) -> None:
    """Starts this program anew, inside; returns where that is not possible, or done."""
    if INSIDE in os.environ:
        return
    for way in WAYS:
        trial = [*way, "--", "mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", "/mnt"]
        with contextlib.suppress(OSError):
            if subprocess.run(trial, check=False, capture_output=True).returncode == 0:
                os.environ[INSIDE] = "1"
                os.execvp(way[0], [*way, "--", sys.executable, "-m", "tests.chaos", *words])


@contextmanager
def small(folder: Path) -> Iterator[bool]:
    """Whether there is one at the folder now."""
    if INSIDE not in os.environ:
        yield False
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder)], check=True)
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as fault:
                if fault.errno != errno.ENOSPC:
                    raise
    try:
        yield
    finally:
        filler.unlink()
