"""The end of the drain: what still runs is told so, rather than cut. The middleware ends its answers, streams with an
error event, and a haproxy that has connections left a second later is stopped hard. `supervisor` looks in each turn.
"""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from supervision.settings import Settings
from supervision.signals import Wake

MIDDLEWARE, HAPROXY = "middleware", "haproxy"
END_ANSWERS = signal.SIGUSR1
# From the signal to the last byte of the last error event, through haproxy.
LAST_WORDS_SECONDS = 1.0
# An engine that is dead answers nothing any more: all that its clients can still get are our own error events.
DEAD_ENGINE_SECONDS = 1.0


class Drain:
    def __init__(self, settings: Settings, wake: Wake) -> None:
        self._seconds = settings.drain_seconds
        self._wake = wake
        self._due: list[tuple[float, str, signal.Signals]] | None = None

    def begin(self, *, engine_is_dead: bool) -> None:
        """When the first program is told to stop; any further call changes nothing."""
        if self._due is not None or self._seconds is None:
            return
        end = time.monotonic() + (min(self._seconds, DEAD_ENGINE_SECONDS) if engine_is_dead else self._seconds)
        # USR1 has told haproxy to take no more; TERM cuts.
        self._due = [(end, MIDDLEWARE, END_ANSWERS), (end + LAST_WORDS_SECONDS, HAPROXY, signal.SIGTERM)]
        for moment, _, _ in self._due:
            self._wake.after(moment - time.monotonic())

    def look(self, processes: Sequence[Any]) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            _, name, number = self._due.pop(0)
            for process in processes:
                if process.config.name == name and process.pid:
                    # Not supervisord's own `kill`: that gives it its stop's seconds anew.
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, number)
