"""The last words of a container that ends by itself: which process, how it died, why we gave up, its last lines.
`deaths` makes the `Loss`; `container` says the words on standard output and in the termination log.
"""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TERMINATION_LOG_BYTES = 4096  # what the kubelet reads


@dataclass(frozen=True)
class Loss:
    program: str
    how: str  # "exit code 37", "signal SIGKILL"
    why: str  # why it is not started again
    code: int  # the container's

    def __str__(self) -> str:
        return f"{self.program}: {self.how}; {self.why}"


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
    said = [f"[{loss.program}] {line}" for line in lines]
    head = f"the last {len(lines)} lines of {loss.program}:" if lines else f"{loss.program} said nothing"
    return "\n".join(
        [
            f"[supervisor] {head}",
            *said,
            f"[supervisor] {loss}",
            f"[supervisor] the container exits with code {loss.code}",
            "",
        ]
    )


def write_termination_log(path: Path, words: str) -> None:
    """Only where the container runtime has put the file; a full disk or a read-only root changes nothing else."""
    data = words.encode()
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
