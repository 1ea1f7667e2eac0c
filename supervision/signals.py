"""Signals that are neither lost nor late: held until supervisord can hear them, then waking its loop at once.
`__main__` holds them, `options` lets them through, `supervisor` owns the open `Wake`.
"""

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

HEARD = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR2})
ASK_TO_END = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


def hold_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)


def let_signals_through() -> None:
    """Once there are handlers, and before any fork: children inherit what is held."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)


@contextmanager
def held_signals() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_child_hear(*, ignoring: Iterable[signal.Signals] = ()) -> None:
    """Between fork and exec, in a child that was forked with signals held. `ignoring`: what would end it before it has
    a handler of its own.

    It still has supervisord's handlers, which would swallow a stop signal that comes before the exec: the
    program would run on, unstopped, until it is killed for it (4.3.0).
    """
    for number in HEARD:
        signal.signal(number, signal.SIG_DFL)
    for number in ignoring:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)


class Wake:
    """A pipe in supervisord's poll; its methods are those of a dispatcher.

    Without it a signal waits for the end of the poll, up to 1 s: Python goes on polling after a handler (PEP 475).
    """

    def __init__(self) -> None:
        self._socket_map: dict[int, Any] = {}
        self._ends: tuple[int, int] | None = None
        self._lock = threading.Lock()  # a thread may poke while the loop ends, and the number is somebody else's then

    def open(self, socket_map: dict[int, Any]) -> None:
        reading, writing = self._ends = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._socket_map = socket_map
        self._socket_map[reading] = self

    def close(self) -> None:
        """Before a reload: it closes every file descriptor from 5 on, and would poll this one's number."""
        with self._lock:
            if self._ends is None:
                return
            signal.set_wakeup_fd(-1)
            self._socket_map.pop(self._ends[0], None)
            for end in self._ends:
                os.close(end)
            self._ends = None

    def after(self, seconds: float) -> None:
        """Pokes when they are over."""
        timer = threading.Timer(seconds, self.poke)
        timer.daemon = True
        timer.start()

    def poke(self) -> None:
        """The loop turns once more without waiting. Safe from any thread."""
        with self._lock:
            if self._ends is not None:
                with suppress(BlockingIOError):  # full: it wakes anyway
                    os.write(self._ends[1], b"!")

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        if self._ends is not None:
            with suppress(BlockingIOError):
                os.read(self._ends[0], 4096)

    def handle_error(self) -> None:
        """Called by the loop when reading failed; there is nothing to close for it."""
