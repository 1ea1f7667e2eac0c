"""The end of a log and what is written behind it: whole lines, without our keys, never more than a browser can show.
Called by `middleware.page.app`, once for each reader.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

from middleware.masking import Mask
from middleware.secrecy import REDACTED, cleaned, sounds_secret

LOOK_SECONDS = 0.5
FIRST_BYTES = 64 * 1024
MOST_BYTES = 256 * 1024  # of one look; a log that grows faster has a gap
LONGEST_LINE = 2000
# SGLang (0.5.23) writes down what it was started with as Python has it: api_key='...'.
_REPR = re.compile(r"""\b(\w{1,80})=(?:'[^']*'?|"[^"]*"?)""")


class Tail:
    """async for lines in Tail(path, mask).lines(): ...    # a list now, also of nothing, and at each look"""

    def __init__(self, path: Path, mask: Mask) -> None:
        self._path = path
        self._mask = mask
        self._at = 0  # the place behind what was read
        self._file: int | None = None
        self._rest = b""  # of a line that has not ended
        self._cut = False  # the next line has lost its beginning
        self._said = ""

    async def lines(self) -> AsyncIterator[list[str]]:
        while True:
            yield await asyncio.to_thread(self._look)
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                told = os.fstat(file.fileno())
                is_first = self._file is None
                if self._file != told.st_ino or told.st_size < self._at:
                    # Another file since it was rotated, or emptied: all of it is new.
                    self._at, self._rest = (max(0, told.st_size - FIRST_BYTES) if is_first else 0), b""
                    self._cut = bool(self._at)
                    self._file = told.st_ino
                left_out = max(0, told.st_size - self._at - MOST_BYTES)
                if left_out:
                    self._at, self._rest, self._cut = self._at + left_out, b"", True
                file.seek(self._at)
                new = file.read(MOST_BYTES)
        except OSError as error:
            return self._silent(error.strerror or "cannot be read")
        self._said = ""
        self._at += len(new)
        gap = [f"({left_out} bytes are left out: it is written faster than it is read)"] if left_out else []
        return gap + self._whole(new)

    def _whole(self, new: bytes) -> list[str]:
        """Lines that have ended; what begins in the middle of one is no line."""
        *lines, self._rest = (self._rest + new).split(b"\n")
        if self._cut and lines:
            del lines[0]
            self._cut = False
        if len(self._rest) > MOST_BYTES:
            self._rest, self._cut = b"", True  # never a line, or one that nobody reads
        return [self._shown(line.decode("utf-8", "replace").rstrip("\r")) for line in lines]

    def _shown(self, line: str) -> str:
        told = _REPR.sub(lambda m: f"{m[1]}={REDACTED}" if sounds_secret(m[1]) else m[0], self._mask.text(line))
        return self._mask.cut(cleaned(told), LONGEST_LINE)

    def _silent(self, why: str) -> list[str]:
        """Once: a model that was never awake has no log yet."""
        if why == self._said:
            return []
        self._said = why
        return [f"({self._path.name}: {why})"]
