"""Which run directory is meant, and why it cannot be looked into. `status`, `abort-all`, `flush` and the supervisorctl
wrapper ask here. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "VLLM_SHIM_RUN_DIR"
DEFAULT = Path("/tmp/vllm-shim")  # noqa: S108 - the documented place; one that is another user's is not looked into
PROC = Path("/proc")
CONF = "supervisord.conf"
# How `shims` becomes supervisord.
SUPERVISION = ("-m", "supervision", "-c")


class NotFound(Exception):
    """The message is one sentence for the operator."""


def find(given: str | None, env: Mapping[str, str], proc: Path = PROC) -> Path:
    """By option, by variable, or the one that a server of ours runs from: what `kubectl exec` starts has the image's
    environment, not that of the container's own command."""
    if named := given or env.get(VARIABLE):
        return Path(named).absolute()
    found = running(proc)
    if len(found) > 1:
        several = ", ".join(map(str, found))
        raise NotFound(f"several servers run here, from {several}: name one with {VARIABLE}")
    return found[0] if found else DEFAULT


def running(proc: Path = PROC) -> list[Path]:
    """Of PID 1, if that is a supervisord of ours, or of all that this user runs. Nobody else's: supervisorctl would
    do what his configuration says."""
    own = os.geteuid()
    found: list[Path] = []
    for entry in sorted(proc.iterdir(), key=lambda path: int(path.name) if path.name.isdigit() else 0):
        with contextlib.suppress(OSError):
            if not entry.name.isdigit() or (entry.name != "1" and entry.stat().st_uid != own):
                continue
            words = (entry / "cmdline").read_bytes().decode("utf-8", "surrogateescape").split("\0")
            if (conf := _conf(words)) is not None:
                if entry.name == "1":
                    return [conf.parent]
                found.append(conf.parent)
    return list(dict.fromkeys(found))


def _conf(words: list[str]) -> Path | None:
    for at in range(1, len(words) - len(SUPERVISION)):
        if tuple(words[at : at + len(SUPERVISION)]) == SUPERVISION:
            conf = Path(words[at + len(SUPERVISION)])
            return conf if conf.is_absolute() and conf.name == CONF else None
    return None


def trouble(folder: Path) -> str:
    """Why nothing can be learned there, as a sentence; or nothing."""
    try:
        owner = folder.stat().st_uid
    except PermissionError:
        return f"{folder} lies where you (uid {os.geteuid()}) may not look: ask as the user who runs the server"
    except OSError:
        return f"there is no run directory {folder}: nothing was started from there; {VARIABLE} names another folder"
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        name = _name(owner)
        return (
            f"{folder} belongs to {name}, who alone may look inside, and you are uid {os.geteuid()}:"
            f" ask as {name} (docker exec --user {owner}; kubectl exec is the container's own user)"
        )
    if owner not in (0, os.geteuid()):
        name = _name(owner)
        return (
            f"{folder} belongs to {name}, and you (uid {os.geteuid()}) would do what {name} has written there:"
            f" ask as {name} (docker exec --user {owner})"
        )
    return ""


def _name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
