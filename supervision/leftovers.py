"""What a dead engine has left in its folder of metrics: prometheus_client would add it to what the next one counts.
`programs` clears it before each start.
"""

import os
from collections.abc import Callable
from pathlib import Path


def clear(folder: Path, warn: Callable[[str], None]) -> None:
    """Removes the `.db` files directly in it and nothing else. No link is followed, and no error stops the start."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        warn(f"not cleared: {error}")
        return
    try:
        for name in os.listdir(opened):  # noqa: PTH208 - of what was opened, not of what has its name now
            if name.endswith(".db"):
                _remove(name, opened, folder, warn)
    except OSError as error:
        warn(f"not cleared: {folder}: {error}")
    finally:
        os.close(opened)


def _remove(name: str, opened: int, folder: Path, warn: Callable[[str], None]) -> None:
    try:
        os.unlink(name, dir_fd=opened)
    except OSError as error:
        warn(f"not cleared: {folder}: {error}")
