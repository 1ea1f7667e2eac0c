"""The shim's own log (VLLM_SHIM_LOG), which outlives its process in a volume: appended to, private and bounded.
`shims.__main__` writes what a start became; `lastwords` and `container` how one ended.
"""

import os
import stat
import time
from pathlib import Path

MAX_BYTES = 1_000_000


class Unwritable(Exception):
    """The message says why, as the end of a sentence."""


def append(path: Path, text: str) -> None:
    """Each line with the time in front. Raises Unwritable; nothing that lies there can hold the caller."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO would block
    try:
        if path.exists() and not path.is_file():
            raise Unwritable("is no regular file: not written to")
        with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", errors="backslashreplace") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Unwritable("is no regular file: not written to")
            os.fchmod(file.fileno(), 0o600)
            if found.st_size > MAX_BYTES:
                file.truncate(0)
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            file.writelines(f"{stamp} {line}\n" for line in text.splitlines())
    except (OSError, ValueError) as error:
        raise Unwritable(f"cannot be written: {getattr(error, 'strerror', None) or error}") from error
