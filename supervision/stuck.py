"""An engine that has failed to start and does not end: ended here, so that it is not taken for one that loads.
`supervisor` has it look in each turn of its loop.
"""

import time
from typing import TYPE_CHECKING, Any

from supervision import orphans
from supervision.state import LOOK_SECONDS

if TYPE_CHECKING:
    from supervision.options import Options

# SGLang 0.5.23 shuts its HTTP server down when it cannot bind its port, and then waits for ever.
SIGNS = (b"error while attempting to bind on address",)
PATIENCE_SECONDS = 5.0


class Stuck:
    def __init__(self, options: "Options") -> None:
        self._options = options
        self._seen: dict[int, float] = {}  # the engine, by its pid, and when its sign was seen
        self._next_look = 0.0

    def look(self, processes: list[Any]) -> None:
        """As often as one likes: it looks once a second."""
        options, now = self._options, time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        for process in processes:
            name, pid = process.config.name, process.pid
            if name not in options.settings.engines or not pid or process.cause or process.killing:
                continue
            if options.state.progress.has_served(options.settings, name):
                continue
            if any(sign in options.transcript.tail(name) for sign in SIGNS):
                if now - self._seen.setdefault(pid, now) >= PATIENCE_SECONDS:
                    process.cause = f"it failed and has not ended for {PATIENCE_SECONDS:g} s"
                    orphans.kill_group(pid)
            else:
                self._seen.pop(pid, None)
