"""A file that outlives us: SGLang tells that it is paused, and not why.
Written and read by `middleware.weights.pause`.
"""

import logging
from pathlib import Path

log = logging.getLogger("middleware.weights")


class Word:
    """word.write("keep"); word.read(). Without a path nothing is remembered; a full disk is no reason not to pause."""

    __slots__ = ("_path",)

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def write(self, what: str) -> None:
        """Nothing takes the file away."""
        if self._path is None:
            return
        try:
            if what:
                self._path.touch(mode=0o600)
                self._path.write_text(what)
            else:
                self._path.unlink(missing_ok=True)
        except OSError as failure:
            log.warning("the file %s cannot be written: %s", self._path, failure.strerror)

    def read(self) -> str:
        try:
            return self._path.read_text() if self._path is not None else ""
        except OSError:
            return ""
