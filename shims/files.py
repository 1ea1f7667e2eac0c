"""A file that somebody named, read so that nothing of it can hold or break a start: no FIFO is waited for, no device is
read to its end, and everything that goes wrong is an OSError whose `strerror` fits into a sentence.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST = 10_000_000  # bytes; a rendered production cluster, and any model's config.json, are far smaller


def read(path: str | Path, largest: int = LARGEST) -> bytes:
    """Raises OSError."""
    try:
        with open(path, "rb", opener=opened) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is no file", os.fspath(path))
            content = file.read(largest + 1)
    except ValueError as error:  # a NUL, or half of a character
        raise OSError(errno.EINVAL, "no file can have this name", os.fspath(path)) from error
    if len(content) > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest / 1_000_000:.0f} MB", os.fspath(path))
    return content


def read_text(path: str | Path, largest: int = LARGEST) -> str:
    """Raises OSError, and ValueError for what is no UTF-8."""
    return read(path, largest).decode("utf-8")


def is_there(path: str | Path) -> bool:
    return not absence(path)


def absence(path: str | Path) -> str:
    """Why nothing can be found there, as the end of a sentence; empty if something is."""
    try:
        os.stat(path)  # noqa: PTH116 - any text, be it no path at all
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except (OSError, ValueError) as error:
        return f"cannot be reached ({reason(error)})"
    return ""


def unreadable(path: str | Path) -> str:
    """Why no text can be read from it, as the end of a sentence; empty if it can."""
    if missing := absence(path):
        return missing
    try:
        read(path)
    except OSError as error:
        return f"cannot be read ({reason(error)})"
    return ""


def reason(error: OSError | ValueError) -> str:
    """What a person is told of it."""
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, UnicodeError):
        return "a character of it is not UTF-8"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def opened(path: str, flags: int) -> int:
    """A FIFO without a writer is no reason to wait."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
