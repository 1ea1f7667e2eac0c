"""Ends an engine of which the middleware leaves word that it is wedged, which it does only where an operator allows it.
`supervisor` looks in each turn of its loop; what the death then means is for `deaths`, as with any other.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from supervision import orphans
from supervision.settings import Settings

SUFFIX = ".stalled"  # of the file beside the engine's ready file; middleware/settings.py writes there
LONGEST_WORD_BYTES = 400


class Wedged:
    def __init__(self, settings: Settings, warn: Callable[[str], None]) -> None:
        self._files: dict[str, Path] = {}
        if settings.ready_dir is not None:
            self._files = {name: settings.ready_dir / f"{name}{SUFFIX}" for name in settings.engines}
        self._warn = warn
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.unlink()  # of an earlier container

    def look(self, processes: Sequence[Any]) -> None:
        for process in processes:
            file = self._files.get(process.config.name)
            # The word is repeated until it is dead, which takes its time where a driver holds it.
            if file is None or not (word := _take(file)) or process.cause:
                continue
            if process.pid and not process.killing:
                self._end(process, word)

    def _end(self, process: Any, word: str) -> None:
        name = process.config.name
        self._warn(f"{name}: {word}; killing it")
        process.cause = word
        # Here is the place to save what can be saved of it: the stacks of its processes, its loads, the memory.
        # Not SIGABRT: a core of its size fills the disk, and whom the driver holds hears neither. Not supervisord's own
        # stop: that would be no death.
        orphans.kill_group(process.pid)


def _take(file: Path) -> str:
    """The word, once; empty if there is none, or if it is about an earlier life.

    Its first line names the life by the ready file, which goes with it (`deaths`). By no clock: that may be set back.
    """
    try:
        number = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        text = os.read(number, LONGEST_WORD_BYTES).decode("utf-8", "replace")
        file.unlink()
        life = str(file.with_suffix("").stat().st_mtime_ns)
    except OSError:
        return ""
    finally:
        os.close(number)
    about, _, rest = text.partition("\n")
    line = "".join(character for character in rest.partition("\n")[0] if character.isprintable())
    return (line or "wedged") if about == life else ""
