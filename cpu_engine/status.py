"""One line at the bottom of a terminal that is written again and again while something takes long.
`install.py` and `run.py` show their progress with it; where nobody watches (a pipe, a file) it stays silent.
"""

from __future__ import annotations

import shutil
import time
from typing import TextIO

ERASE = "\r\x1b[K"


class StatusLine:
    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.watched = out.isatty()
        self.shown = ""

    def show(self, text: str) -> None:
        if not self.watched:
            return
        # A line that wraps could not be erased: the terminal goes back to the start of its last row only.
        text = text[: shutil.get_terminal_size().columns - 1]
        if text != self.shown:
            self.out.write(ERASE + text)
            self.out.flush()
            self.shown = text

    def clear(self) -> None:
        if self.shown:
            self.out.write(ERASE)
            self.out.flush()
            self.shown = ""

    def print(self, text: str) -> None:
        """A whole line, which stays."""
        self.clear()
        self.out.write(text + "\n")
        self.out.flush()


class StepLine(StatusLine):
    """The line of one step: its seconds run on a terminal; elsewhere it is written in two parts."""

    def begin(self, step: str) -> None:
        self.step = f"{step} ..."
        self.began = time.monotonic()
        if not self.watched:
            self.out.write(self.step)
            self.out.flush()

    def tick(self) -> None:
        self.show(f"{self.step} {time.monotonic() - self.began:.0f} s")

    def finish(self, note: str | None = None) -> None:
        ending = f" {note + ', ' if note else ''}{time.monotonic() - self.began:.1f} s"
        self.print(self.step + ending if self.watched else ending)
