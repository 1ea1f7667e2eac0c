"""Opens a file to append to that is ours alone: 0600, through no link, and without waiting for what is no file.
Called by `rotated` for each log, and for the names that it rotates to.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

MODE = 0o600


class NoFileError(OSError):
    """Something has the name that is neither a file nor a link: not ours to remove, nor to write to."""


def opened(path: str, say: Callable[[str], None]) -> BinaryIO:
    """Without a buffer. Raises OSError."""
    claim(path, say)
    return open(path, "ab", buffering=0, opener=_open)


def claim(path: str, say: Callable[[str], None]) -> None:
    """What has the name is a file of ours, or gone."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    # A second name of a file is a link too: what is written there lands where somebody else has chosen.
    is_link = stat.S_ISLNK(found.st_mode) and not path.startswith("/dev/")  # /dev/stdout is the machine's
    if is_link or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1):
        _replace(path, "was a link: it is left alone, and a file takes its place", say)
    elif not stat.S_ISREG(found.st_mode):
        raise NoFileError(errno.EINVAL, "it is no file", path)
    elif stat.S_IMODE(found.st_mode) != MODE:
        try:
            _restrict(path)
        except PermissionError:
            # Ours, and no modes: a file system without any.
            if found.st_uid != os.geteuid():
                _replace(path, "belonged to somebody else: another takes its place", say)


def _replace(path: str, why: str, say: Callable[[str], None]) -> None:
    Path(path).unlink()
    say(f"the log {path} {why}")


def _restrict(path: str) -> None:
    # By a descriptor: chmod would follow a link that was put there just now.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        os.fchmod(descriptor, MODE)
    finally:
        os.close(descriptor)


def _open(path: str, _flags: int) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags, MODE)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise NoFileError(errno.EINVAL, "it is no file", path)
        with suppress(PermissionError):
            os.fchmod(descriptor, MODE)  # the umask can take rights away from the owner too
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
