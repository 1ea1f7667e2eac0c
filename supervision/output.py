"""The container's standard output: written by a thread of its own, so that a slow reader never stops supervisord.
`transcript` puts whole, prefixed lines into it; `container` flushes it at the end.
"""

import os
import threading
import time
from collections import deque

LIMIT_BYTES = 8 << 20
WRITE_BYTES = 256 << 10
# Of a reader who takes nothing, at the end of all.
STANDSTILL_SECONDS = 1.0


class ContainerOutput:
    def __init__(self, fd: int, limit_bytes: int = LIMIT_BYTES) -> None:
        self._fd = fd
        self._limit = limit_bytes
        self._waiting: deque[bytes] = deque()
        self._size = 0  # bytes not yet written, those in the writer's hands included
        self._dropped = 0  # lines, since the last that was accepted
        self._changed = threading.Condition()
        threading.Thread(target=self._write_forever, name="container-output", daemon=True).start()

    def put(self, lines: bytes, *, always: bool = False) -> None:
        """Whole lines. Beyond the limit they are counted instead of kept, except `always`."""
        with self._changed:
            if not always and self._is_full(len(lines)):
                self._dropped += lines.count(b"\n")
                return
            self._say_dropped()
            self._append(lines)

    def flush(self, timeout_seconds: float) -> bool:
        """True when all is written. A reader that has stopped reading must not keep the container alive."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            self._say_dropped()
            while before := self._size:
                patience = min(STANDSTILL_SECONDS, deadline - time.monotonic())
                if not self._changed.wait_for(lambda before=before: self._size < before, patience):  # type: ignore[misc]
                    return False
        return True

    def _is_full(self, more: int) -> bool:
        # Once it was full it opens at half: one sentence about the gap, not one for each line that fits.
        limit = self._limit // 2 if self._dropped else self._limit
        return self._size + more > limit

    def _say_dropped(self) -> None:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            self._append(b"[supervisor] output is read too slowly: %d lines dropped here; the logs have them\n" % count)

    def _append(self, lines: bytes) -> None:
        self._waiting.append(lines)
        self._size += len(lines)
        self._changed.notify_all()

    def _write_forever(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                batch = [self._waiting.popleft()]
                while self._waiting and sum(map(len, batch)) < WRITE_BYTES and len(batch) < 64:
                    batch.append(self._waiting.popleft())
            lines = b"".join(batch)
            self._write(lines)
            with self._changed:
                self._size -= len(lines)
                self._changed.notify_all()

    def _write(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                time.sleep(0.01)  # somebody who shares the terminal made it non-blocking
            except OSError:
                return  # nobody reads any more
