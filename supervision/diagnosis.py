"""What an engine's last lines, or the signal that ended it, say of its death: walks the table of `supervision.causes`.
`deaths` asks it; a wrong guess is a wrong sentence, and in place one start less.
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from supervision.causes import CAUSES, Cause


@dataclass(frozen=True, slots=True)
class Diagnosis:
    cause: Cause
    line: str  # that says so

    def __str__(self) -> str:
        return f"{self.cause.name}: {self.cause.sentence}" + (f" (it said: {self.line})" if self.line else "")


# What the signal that ended a process says by itself.
SIGNALS: dict[int | None, str] = {
    signal.SIGSEGV: "a crash in compiled code: a driver, a kernel, a library that does not fit this machine",
    signal.SIGBUS: "memory that is not there: /dev/shm is too small, or a file was cut while it was mapped",
    signal.SIGABRT: "compiled code gave up: an assertion or a GPU fault, which the lines above name",
    signal.SIGILL: "this processor lacks an instruction that the build uses",
}

LONGEST_LINE = 400


def diagnose(said: bytes, code: int | None, causes: Sequence[Cause] = CAUSES) -> Diagnosis | None:
    """Of the end of what a process said, and its exit code; None if it had none (a signal), or nothing is known."""
    text = b"\n" + said
    for cause in causes:
        if cause.code not in (None, code):
            continue
        for sign in cause.signs:
            if (at := text.rfind(sign.text)) >= 0:
                return Diagnosis(cause, _line(text, at + len(sign.text) - 1))
    return None


def _line(text: bytes, at: int) -> str:
    """Cut: SGLang names all that it supports. Progress bars write carriage returns."""
    begin, end = max(text.rfind(b"\n", 0, at), text.rfind(b"\r", 0, at)) + 1, text.find(b"\n", at)
    begin = begin if at - begin < LONGEST_LINE else at - LONGEST_LINE // 2
    line = text[begin : end if end >= 0 else None].decode("utf-8", "replace")
    clean = "".join(character if character.isprintable() else " " for character in line).strip()
    return clean if len(clean) <= LONGEST_LINE else f"{clean[:LONGEST_LINE]}..."
