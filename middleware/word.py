"""Files that say something to another process, or to who comes after us: a full disk is a line in the log, and no more.
Written by `middleware.watch` and `stall` for supervision, by `sleeping` and `weights.pause` for the next middleware.
"""

import contextlib
import logging
import os
from pathlib import Path

log = logging.getLogger("middleware.word")


class Word:
    """word.write("keep"); word.read(). What nobody has said is empty; without a path nothing is remembered."""

    __slots__ = ("_path",)

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def write(self, what: str) -> None:
        """Nothing takes the file away."""
        if self._path is not None and what:
            leave_word(self._path, what)
        elif self._path is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as exc:
                log.warning("the file %s cannot be removed: %s", self._path, exc.strerror)

    def read(self) -> str:
        try:
            return self._path.read_text().strip() if self._path is not None else ""
        except OSError:
            return ""


def leave_word(path: Path, text: str, *, again: bool = False) -> bool:
    """Writes the file anew, whole and for our user alone: whoever watches it sees a new file, never half of one.

    Whether it could; a failure is a line in the log, unless it is tried `again`.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.touch(mode=0o600)
        fresh.write_text(f"{text}\n")
        fresh.replace(path)
    except OSError as exc:
        if not again:
            log.warning("the file %s cannot be written: %s", path, exc.strerror)
        with contextlib.suppress(OSError):
            fresh.unlink()
        return False
    return True
