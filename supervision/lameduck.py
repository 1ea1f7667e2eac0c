"""The lame duck: /health says 503, and requests are still taken, until load balancers have seen it.
`supervisor` begins it when it is asked to end, and stops nothing before it is over.
"""

import csv
import threading
import time
from collections.abc import Callable

from supervision.haproxy_socket import ask
from supervision.settings import Settings
from supervision.signals import Wake

# The server that haproxy's /health and its `connection: close` hang on, and from which no request is served.
BEGIN = b"enable server lame_duck/flag\n"
COUNT = b"show stat\n"
COUNTED = ("middleware", "BACKEND")
HAPROXY_PATIENCE_SECONDS = 0.5
LOOK_SECONDS = 0.2
# Who still has us in its list would have sent something in this time.
QUIET_SECONDS = 2.0


class LameDuck:
    """`holds` from the first call on, in a thread of its own: a haproxy that hangs must not stop supervisord."""

    def __init__(self, settings: Settings, wake: Wake) -> None:
        self._settings = settings
        self._wake = wake
        self._seconds = settings.lame_duck_seconds
        self._begun = False
        self._over = threading.Event()

    def holds(self) -> bool:
        if not self._begun:
            self._begun = True
            threading.Thread(target=self._walk, name="lame-duck", daemon=True).start()
        return not self._over.is_set()

    def shorten(self) -> None:
        """Before it begins: nobody but a person at a terminal is waiting."""
        self._seconds = 0.0

    def end(self) -> None:
        self._begun = True
        self._over.set()

    def _walk(self) -> None:
        try:
            path = self._settings.haproxy_socket
            if path is None:
                return
            # Also with no seconds: the probes of connections that last through the drain must still hear of it.
            ask(path, BEGIN, HAPROXY_PATIENCE_SECONDS)
            if self._is_serving():
                wait(self._seconds, lambda: requests(ask(path, COUNT, HAPROXY_PATIENCE_SECONDS)), self._over)
        except OSError:
            pass  # no front door: nobody who could see it
        finally:
            self._over.set()
            self._wake.poke()

    def _is_serving(self) -> bool:
        """Of an engine that loads or is dead /health has said 503 all the time: nobody has it in a list."""
        folder, engines = self._settings.ready_dir, self._settings.engines
        if folder is None or not engines or self._settings.members:  # several models serve while all of them sleep
            return True
        return any((folder / name).exists() for name in engines)


def wait(seconds: float, count: Callable[[], int], over: threading.Event) -> None:
    """Until `seconds` are over, or for QUIET_SECONDS `count` has not changed, or it was ended from outside."""
    began = quiet_since = time.monotonic()
    seen = count()
    while (now := time.monotonic()) - began < seconds and now - quiet_since < QUIET_SECONDS:
        if over.wait(min(LOOK_SECONDS, max(0.0, began + seconds - now))):
            return
        if (found := count()) != seen:
            seen, quiet_since = found, time.monotonic()


def requests(statistics: str) -> int:
    """Those that haproxy has passed on so far, by its `show stat`; those that it answers itself are none of them."""
    rows = csv.DictReader(statistics.lstrip("# ").splitlines())
    return sum(int(row["stot"] or 0) for row in rows if (row.get("pxname"), row.get("svname")) == COUNTED)
