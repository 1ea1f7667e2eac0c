"""Long commands (pip, venv, the conversion) run with their output in the log, and failures become one sentence.
The steps of the installation run everything through `Commands.run`.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TAIL_LINES = 15

# What stands in the output, and what to say. The first that is found counts: pip, unable to connect, ends with
# "No matching distribution" too.
SENTENCES = (
    (
        ("No space left on device",),
        "the disk is full: the engine takes 2.5 GB, or 7 GB where torch is a CUDA build",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED",),
        "pip does not trust the package index's certificate: name your authority's file in PIP_CERT",
    ),
    (
        (
            "Failed to establish a new connection",
            "Failed to resolve",
            "Name or service not known",
            "Temporary failure in name resolution",
            "Network is unreachable",
            "Cannot connect to proxy",
            "Connection aborted",
            "Connection broken",
            "Read timed out",
            "timed out. (connect timeout",
        ),
        "pip cannot reach its package index: check the network; HTTPS_PROXY names a proxy, PIP_INDEX_URL an index",
    ),
    (
        ("No matching distribution found",),
        "pip finds no build of a package for this Python and machine: Linux with glibc 2.34 or later is needed",
    ),
)


class InstallError(Exception):
    """What went wrong and what to do, in one sentence; `details` are the last lines of the log."""

    def __init__(self, sentence: str, details: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.details = details


def sentence_for(output: str) -> str | None:
    for needles, sentence in SENTENCES:
        if any(needle in output for needle in needles):
            return sentence
    return None


@dataclass(frozen=True)
class Commands:
    log: Path
    temporary: Path
    """Where pip unpacks what it downloads: torch alone is larger than many a /tmp."""
    lock: int
    tick: Callable[[], None]

    def run(self, command: Sequence[str | Path], *, what: str, extra_env: Mapping[str, str] | None = None) -> None:
        with self.log.open("ab") as log:
            log.write(f"\n=== {what}, {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            log.flush()
            began = log.tell()
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(self.temporary), **(extra_env or {})},
                # A pip whose installer was killed goes on writing: it holds the lock until it ends.
                pass_fds=(self.lock,),
            ) as process:
                self._wait(process)
        if process.returncode == 0:
            return
        output = self.log.read_bytes()[began:].decode(errors="replace")
        sentence = sentence_for(output) or f"{what} failed"
        raise InstallError(sentence, [line for line in output.splitlines() if line.strip()][-TAIL_LINES:])

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        try:
            while process.poll() is None:
                self.tick()
                try:
                    process.wait(timeout=0.5)
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            process.terminate()
            raise


@contextmanager
def only_one(lock: Path, on_wait: Callable[[], None]) -> Iterator[int]:
    """One installation at a time; the kernel lets go of the lock when the last process that holds it ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()
