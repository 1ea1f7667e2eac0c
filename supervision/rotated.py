"""A log file that rotates by size between lines, belongs to us alone, and outlives a full disk.
`logfiles` gives one to each log of supervisord's; `middleware.dump` writes the requests that failed into another.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from supervision import private_file

# How long a file is left alone that could not be written: on a full disk each try is a system call a line.
RETRY_SECONDS = 2.0
# A disk that is full again and again gets a sentence less and less often.
LONGEST_RETRY_SECONDS = 300.0
RELAPSE_SECONDS = 60.0


class RotatedFile:
    """file = RotatedFile(path, 2 << 20, 3, say)     # path, path.1 .. path.3; 0 bytes: no limit
    file.write(data)     # never raises: a failure is said once, and the file says where lines are missing
    """

    def __init__(self, path: str, max_bytes: int, backups: int, say: Callable[[str], None]) -> None:
        self.path = path
        self._max = max_bytes
        self._late = max_bytes - max_bytes // 8  # from here on the next line's end is the end of the file
        self._names = [path, *(f"{path}.{number}" for number in range(1, backups + 1))]
        self._say = say
        self._stream: BinaryIO | None = None
        self._size = 0
        self._in_line = False  # the last byte in the file is no newline
        self._missing = 0  # lines
        self._lost_start = False  # the next bytes are the rest of a line that is missing
        self._failure = ""
        self._patience = RETRY_SECONDS
        self._retry_at = 0.0
        self._well_since = -RELAPSE_SECONDS
        self._try(self._begin)

    def write(self, data: bytes) -> None:
        if self._failure:
            if monotonic() < self._retry_at or not self._try(self._go_on):
                self._lose(data)
                return
            data = self._from_next_line(data)
        while data:
            size, full = self._fitting(data)
            written = self._put(data[:size])
            data = data[written:]
            if written < size or (full and not self._try(self._rotate)):
                self._lose(data)
                return

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()

    # supervisord (4.3.0) drops the log of a life that is over, and closes nothing.
    __del__ = close

    def reopen(self) -> None:
        self.close()
        self._try(self._open)

    def remove(self) -> None:
        """Raises OSError, for `supervisorctl clear` to tell."""
        self.close()
        with suppress(FileNotFoundError):
            Path(self.path).unlink()

    def _fitting(self, data: bytes) -> tuple[int, bool]:
        """How much goes into this file, and whether it is full then. A line of up to an eighth of it is never cut."""
        if not self._max or self._size + len(data) <= self._late:
            return len(data), False
        room = max(0, self._max - self._size)
        if end := data.find(b"\n", max(0, self._late - self._size - 1), room) + 1:
            return end, True
        if len(data) <= room:
            return len(data), False
        if end := data.rfind(b"\n", 0, room) + 1:
            return end, True
        if self._size and not self._in_line:
            return 0, True
        return room, True

    def _put(self, data: bytes) -> int:
        """How much was written of it."""
        written = 0
        try:
            if data and self._stream is None:
                self._open()
            while written < len(data) and self._stream is not None:
                written += self._stream.write(memoryview(data)[written:])
        except OSError as error:
            self._fail(error)
        if written:
            self._size += written
            self._in_line = data[written - 1 : written] != b"\n"
        return written

    def _try(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except OSError as error:
            self._fail(error)
            return False
        return True

    def _begin(self) -> None:
        for name in self._names[1:]:
            with suppress(OSError):  # said when it is that name's turn
                private_file.claim(name, self._say)
        self._open()

    def _open(self) -> None:
        self._stream = private_file.opened(self.path, self._say)
        self._size = os.fstat(self._stream.fileno()).st_size
        self._in_line = False

    def _rotate(self) -> None:
        self.close()
        try:
            for newer, older in zip(self._names[-2::-1], self._names[:0:-1], strict=True):
                with suppress(FileNotFoundError):
                    Path(newer).replace(older)
        except OSError as error:  # a folder has the name
            # Without an end it would fill the disk.
            self._say(f"the log {self.path} begins anew: {error.filename2} cannot be written: {error.strerror}")
        self.remove()
        self._open()

    def _fail(self, error: OSError) -> None:
        now, is_news = monotonic(), not self._failure
        if is_news:
            relapse = now - self._well_since < RELAPSE_SECONDS
            self._patience = min(2 * self._patience, LONGEST_RETRY_SECONDS) if relapse else RETRY_SECONDS
            self._failure = error.strerror or str(error)
        self._retry_at = now + self._patience
        if is_news:  # last: supervisord's own log is told, of itself too
            self._say(f"the log {error.filename or self.path} cannot be written: {self._failure}")

    def _lose(self, data: bytes) -> None:
        if data:
            self._missing += data.count(b"\n")
            self._lost_start = not data.endswith(b"\n")

    def _go_on(self) -> None:
        """Says in the file what is missing there. Raises OSError if that does not fit either."""
        if self._stream is None:
            self._open()
        lines = self._missing + self._lost_start
        note = b"\n" * self._in_line + b"[supervisor] %d lines are missing here: %b\n" % (lines, self._failure.encode())
        if self._max and self._size + len(note) > self._max:
            self._rotate()
        if self._put(note) < len(note):
            raise OSError(errno.ENOSPC, self._failure, self.path)
        self._failure, self._missing = "", 0
        self._well_since = monotonic()
        self._say(f"the log {self.path} is written again: {lines} lines are missing there")

    def _from_next_line(self, data: bytes) -> bytes:
        if not self._lost_start:
            return data
        _, newline, rest = data.partition(b"\n")
        self._lost_start = not newline
        return rest
