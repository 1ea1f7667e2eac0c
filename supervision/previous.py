"""What the container before this one left in the state file: how it ended, or that it ended without a word.
`container` asks once at its start, before the file is written anew; whatever lies there cannot hurt.
"""

import json
import os
import socket
import stat
import time
from pathlib import Path
from typing import Any

from supervision.memory import size
from supervision.progress import STOPPING

LONGEST_BYTES = 1 << 20
LONGEST_WORDS = 300
# A death and the stop that it causes.
BEFORE_SECONDS = 5.0
# What the page cache holds counts as well, so that a peak at the limit alone proves nothing.
FULL, USED_UP = 0.95, 0.8
KERNEL = "the kernel ended it for memory (look for OOMKilled in `kubectl describe pod`)"
OUTSIDE = "it was killed from outside (kill -9, or its node was lost)"
IMPATIENCE = "it was killed before its stop was over (terminationGracePeriodSeconds is too short for it)"


def report(path: Path) -> str | None:
    """A sentence, or None: there was none, or it ended in order."""
    found = _read(path)
    if found is None:
        return None
    try:
        return _tell(found)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):  # not written by us, or no time of this world
        return None


def _tell(found: dict[str, Any]) -> str | None:
    if found["host"] != socket.gethostname():
        return None  # another pod's, in a folder that several share; it may well be running
    started, updated, ended = float(found["started"]), float(found["updated"]), found["ended"]
    if ended is not None:
        code = int(ended["code"])
        why = _words(ended["why"])
        return (
            f"the container before this one ended with code {code} at {_moment(ended['at'])}: {why}" if code else None
        )
    peak, limit, kills = (
        _bytes(found["peak_memory_bytes"]),
        _bytes(found["memory_limit_bytes"]),
        int(found["oom_kills"]),
    )
    seconds = max(0, round(updated - started))
    cause = _cause(peak, limit, kills, _bytes(found.get("memory_bytes")))
    if found["phase"] == STOPPING:
        cause = _last_death(found) or IMPATIENCE
    return (
        f"the container before this one ended without a word in phase {_words(found['phase'])}, {seconds} s after its"
        f" start, at about {_moment(updated)}; peak memory {size(peak)}"
        f" of {'no limit' if limit is None else size(limit)}, OOM kills {kills}: {cause}"
    )


def _last_death(found: dict[str, Any]) -> str:
    """Which may be why it was stopping."""
    deaths = [(float(death["at"]), name, death) for name, one in found["programs"].items() for death in one["deaths"]]
    at, name, death = max(deaths, key=lambda one: one[0]) if deaths else (0.0, "", {"how": "", "why": ""})
    if at < float(found["since"]) - BEFORE_SECONDS:
        return ""
    return f"it was stopping, for {_words(name)} had died: {_words(death['how'])}; {_words(death['why'])}"


def _cause(peak: int | None, limit: int | None, kills: int, used: int | None) -> str:
    if kills > 0 or (limit and used is not None and used >= USED_UP * limit):
        return f"probably {KERNEL}"
    if limit and peak is not None and peak >= FULL * limit:
        return f"{KERNEL}, or {OUTSIDE}"
    return OUTSIDE


def _bytes(value: object) -> int | None:
    return None if value is None else int(str(value))


def _words(value: object) -> str:
    text = "".join(character if character.isprintable() else " " for character in str(value)[: 2 * LONGEST_WORDS])
    return text if len(text) <= LONGEST_WORDS else f"{text[:LONGEST_WORDS]}..."


def _moment(seconds: object) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(str(seconds))))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        # Another's link, a FIFO or a device is none of ours; a huge file is no reason to read it.
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LONGEST_BYTES:
            return None
        document = json.loads(os.read(number, LONGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(number)
    return document if isinstance(document, dict) and document.get("version") == 1 else None
