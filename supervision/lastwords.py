"""The last words of a container that ends by itself: which process, how it died, why we gave up, its last lines.
`deaths` makes the `Loss`; `container`, and `shims.__main__` for a start that fails before it, leave the words.
"""

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from supervision import shimlog
from supervision.diagnosis import Diagnosis

TERMINATION_LOG_BYTES = 4096  # what the kubelet reads


@dataclass(frozen=True)
class Loss:
    program: str
    how: str  # "exit code 37", "signal SIGKILL"
    why: str  # why it is not started again
    code: int  # the container's
    phase: str = ""  # of its start, or "ready"; of the container's, where it is no engine
    is_start: bool = False  # an engine that had not been ready in this life
    explained: str = ""  # half a sentence: what the signal means, if it means something by itself
    diagnosis: Diagnosis | None = None

    @property
    def manner(self) -> str:
        phase = f" in phase {self.phase}" if self.is_start else ""
        return f"{self.how}{phase}" + (f", {self.explained}" if self.explained else "")

    def __str__(self) -> str:
        return f"{self.program}: {self.manner}; {self.why}"


def describe(status: int | None) -> tuple[str, int]:
    """A wait status (None: it was never started) as words and as the container's exit code, which is never 0."""
    if status is None:
        return "could not be started", 1
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = str(number)  # real-time signals have no names
        return f"signal {name}" + (" (core dumped)" if os.WCOREDUMP(status) else ""), 128 + number
    code = os.WEXITSTATUS(status)
    return f"exit code {code}", code or 1


def compose(loss: Loss, lines: Sequence[str]) -> str:
    """The cause stands last: there a reader of a cut log looks, and the kubelet keeps the end."""
    return f"{obituary(loss, lines)}[supervisor] the container exits with code {loss.code}\n"


def obituary(loss: Loss, lines: Sequence[str]) -> str:
    """The same of one of several models, whose death is not the container's end."""
    said = [f"[{loss.program}] {line}" for line in lines]
    head = f"the last {len(lines)} lines of {loss.program}:" if lines else f"{loss.program} said nothing"
    return "\n".join(
        [
            f"[supervisor] {head}",
            *said,
            f"[supervisor] {loss}",
            *([f"[supervisor] {loss.diagnosis}"] if loss.diagnosis else []),
            "",
        ]
    )


def leave(words: str, termination_log: Path, shim_log: Path | None) -> None:
    """Where they are found when the container is gone; a place that cannot be written changes nothing else."""
    write_termination_log(termination_log, words)
    if shim_log is not None:
        with suppress(shimlog.Unwritable):
            shimlog.append(shim_log, words)


def write_termination_log(path: Path, words: str) -> None:
    """Only where the container runtime has put the file; a full disk or a read-only root changes nothing else."""
    data = words.encode("utf-8", "backslashreplace")
    if len(data) > TERMINATION_LOG_BYTES:
        cut = data[-TERMINATION_LOG_BYTES:]
        data = cut[cut.find(b"\n") + 1 :] if b"\n" in cut[:-1] else cut
    try:
        fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(fd, data)
    except OSError:
        pass
    finally:
        os.close(fd)
