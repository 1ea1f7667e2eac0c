"""Ends an engine of which the middleware leaves word that it is wedged, which it does only where an operator allows it.
`supervisor` looks in each turn of its loop; what the death then means is for `deaths`, as with any other.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervision import evidence, orphans, stacks
from supervision.progress import give_up, ready_file

if TYPE_CHECKING:
    from supervision.options import Options

SUFFIX = ".stalled"  # of the file beside the engine's ready file; middleware/settings.py writes there
LONGEST_WORD_BYTES = 400
# Whatever hangs then of all that is asked, the engine is killed.
LATEST_SECONDS = 90.0
SHOWN_CHARACTERS = 64 << 10  # in the container's output, which is what is left of a container without a volume


class Wedged:
    def __init__(self, options: "Options") -> None:
        self._options = options
        self._in_loop: deque[Callable[[], None]] = deque()  # from the thread: supervisord's own things are its loop's
        for engine in options.settings.engines:
            if file := self._file(engine):
                with suppress(OSError):
                    file.unlink()  # of an earlier container

    def _file(self, engine: str) -> Path | None:
        """By the settings as they are now: several models may become more."""
        file = ready_file(self._options.settings, engine)
        return file and file.with_name(f"{engine}{SUFFIX}")

    def look(self, processes: Sequence[Any]) -> None:
        for process in processes:
            file = self._file(process.config.name)
            # The word is repeated until it is dead, which takes its time where a driver holds it.
            if file is None or not (word := _take(file)) or process.cause:
                continue
            if process.pid and not process.killing:
                self._end(process, word)

    def go_on(self) -> None:
        while self._in_loop:
            self._in_loop.popleft()()

    def _end(self, process: Any, word: str) -> None:
        self._options.warn(f"{process.config.name}: {word}; its state is saved, then it is killed")
        process.cause = word
        give_up(self._options.settings, process.config.name, word)
        threading.Thread(target=self._save_and_kill, args=(process, process.pid, word), daemon=True).start()

    def _save_and_kill(self, process: Any, pid: int, word: str) -> None:
        """In a thread, as what is asked may hang too; nothing else of the container waits for it."""
        options, name = self._options, process.config.name
        self._later(lambda: _kill(process, pid), after_seconds=LATEST_SECONDS)
        blind: list[int] = []
        shown = SHOWN_CHARACTERS
        channel = options.transcript.channel("evidence")
        file = evidence.File(Path(options.childlogdir), name)
        try:
            for piece in evidence.gather(name, pid, process.config.command, word):
                file.add(piece.text)
                text, shown = f"{piece.text}\n"[:shown], max(0, shown - len(piece.text))
                self._later(partial(channel.feed, text.encode("utf-8", "replace")))
                blind += [piece.blind] if piece.blind else []
            saved = f"is saved as {file.path}" if file.path else "could not be saved"
            self._later(lambda: options.warn(f"{name}: its state {saved}"))
            if blind:
                stacks.ask_faulthandler(blind)
        finally:
            self._later(lambda: _kill(process, pid))

    def _later(self, call: Callable[[], None], after_seconds: float = 0) -> None:
        if after_seconds:
            timer = threading.Timer(after_seconds, self._later, (call,))
            timer.daemon = True
            timer.start()
            return
        self._in_loop.append(call)
        self._options.wake.poke()


def _kill(process: Any, pid: int) -> None:
    """If it is still the same. Not by supervisord's own stop: that would be no death."""
    if process.pid == pid:
        orphans.kill_group(pid)


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
