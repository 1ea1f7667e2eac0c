"""The lame duck: /health says 503, and requests are still taken, until load balancers have seen it.
`supervisor` begins it when it is asked to end, and stops nothing before it is over.
"""

import threading
import time

from supervision.haproxy_socket import ask
from supervision.settings import Settings
from supervision.signals import Wake

# The server that haproxy's /health is answered from, and from which no request is served.
MAKE_HEALTH_503 = b"disable server probe/middleware\n"
HAPROXY_PATIENCE_SECONDS = 0.5


class LameDuck:
    def __init__(self, settings: Settings, wake: Wake) -> None:
        self._settings = settings
        self._wake = wake
        self._until: float | None = None

    def holds(self) -> bool:
        """Begins at the first call, which is when the stop begins."""
        if self._until is None:
            self._until = time.monotonic() + self._begin()
        return time.monotonic() < self._until

    def end(self) -> None:
        self._until = 0.0

    def _begin(self) -> float:
        seconds, path = self._settings.lame_duck_seconds, self._settings.haproxy_socket
        if path is None:
            return 0.0
        try:
            ask(path, MAKE_HEALTH_503, HAPROXY_PATIENCE_SECONDS)
        except OSError:
            return 0.0  # no front door: nobody who could see it
        if not seconds:
            return 0.0  # the probes of connections that last through the drain must still hear of it
        timer = threading.Timer(seconds, self._wake.poke)
        timer.daemon = True
        timer.start()
        return seconds
