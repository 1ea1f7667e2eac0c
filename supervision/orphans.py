"""Nothing outlives its program: its process group, and what left the group but still carries the program's mark.
`programs` marks and kills groups, `supervisor` sweeps whenever a child was reaped, `container` at the end of all.
"""

import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
PR_SET_CHILD_SUBREAPER = 36

# Set in every program's environment and inherited by what it starts, so that an orphan can be told from a
# background job of somebody's `kubectl exec` shell, which is handed to PID 1 in the same way.
MARK = "SUPERVISION_LIFE"


def become_reaper() -> None:
    """Orphans are handed to us, as they are to PID 1. No effect in a container, where we are PID 1."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def life(program: str, pid: int) -> str:
    """The value of the mark. A restarted program is another life: what its dead predecessor left must go."""
    return f"{program}:{pid}"


def kill_group(pid: int) -> None:
    """supervisord makes every program the leader of a group; `killasgroup` is not for deaths it did not order."""
    with suppress(ProcessLookupError, PermissionError):  # empty, or of another user
        os.killpg(pid, signal.SIGKILL)


def kill_orphans(living: Collection[str]) -> list[int]:
    """Kills each child of ours that carries the mark of a life that has ended.

    Its own children are handed to us when it dies and are found in the next sweep, which its death causes.
    """
    killed = []
    for pid in _children():
        mark = _mark_of(pid)
        if mark is not None and mark not in living:
            _kill(pid)
            killed.append(pid)
    return killed


def kill_all_children(patience_seconds: float) -> bool:
    """At the end of everything. True when nothing is left; False when something cannot even be killed."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        for pid in _children():
            _kill(pid)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(0.005)
    return False


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def running() -> Iterator[tuple[int, int, int]]:
    """Of each process on this machine that has not ended: itself, its parent and its group."""
    for directory in PROC.iterdir():
        if directory.name.isdecimal():
            try:
                # The name, in parentheses, may itself hold spaces and parentheses.
                state, parent, group = (directory / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
            except OSError:
                continue  # gone meanwhile
            if state != "Z":
                yield int(directory.name), int(parent), int(group)


def _children() -> Iterator[int]:
    me = os.getpid()
    return (pid for pid, parent, _ in running() if parent == me)


def _mark_of(pid: int) -> str | None:
    """None also for a child between fork and exec, which still shows our own environment, and for one that has
    written its title over it (setproctitle, in SGLang's processes): those go with their group."""
    try:
        environ = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    for entry in environ.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == MARK.encode():
            return value.decode("utf-8", "replace")
    return None
