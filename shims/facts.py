"""What was read from the machine, as one frozen record, so that everything after it is pure. `gather` reads it;
the preview can take it from a file instead (`render_config.py --facts FILE`: a JSON object with any of these fields).
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from shims.cli import CommandLine
from shims.exceptions import CommandLineError

HOME = Path(__file__).resolve().parent.parent
DEFAULT_RUN_DIR = "/tmp/vllm-shim"  # noqa: S108 - the documented place; made 0700 and owned by us, or refused
SYSTEM_PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin"  # where Debian puts haproxy, and not on a user's PATH
LISTEN = "0A"  # a socket's state in /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Facts:
    home: str = str(HOME)  # the tree that the templates are read from
    run_dir: str = DEFAULT_RUN_DIR
    log_dir: str = f"{DEFAULT_RUN_DIR}/log"
    python: str = sys.executable  # the interpreter of our own programs
    haproxy: str = "haproxy"  # its path; empty if there is none
    in_kubernetes: bool = False
    ipv6: bool = False
    is_root: bool = False
    umask: int = 0o022
    open_files: int = 16384  # hard limit of open files
    taken_ports: frozenset[int] = frozenset()
    model_config: Mapping[str, Any] = field(default_factory=dict)  # the model's config.json, if it is local


def gather(command: CommandLine, env: Mapping[str, str]) -> Facts:
    model = command.positional or command.last("--model", "")
    run_dir = os.path.abspath(env.get("VLLM_SHIM_RUN_DIR") or _free_run_dir(command.last("--port", 8000)))  # noqa: PTH100
    return Facts(
        run_dir=run_dir,
        log_dir=os.path.abspath(env.get("VLLM_SHIM_LOG_DIR") or f"{run_dir}/log"),  # noqa: PTH100
        haproxy=shutil.which("haproxy", path=f"{env.get('PATH', '')}:{SYSTEM_PROGRAMS}") or "",
        in_kubernetes="KUBERNETES_SERVICE_HOST" in env,
        ipv6=bool(_text("/proc/net/if_inet6")),
        is_root=os.geteuid() == 0,
        umask=_umask(),
        open_files=_open_files(),
        taken_ports=frozenset(_listening("/proc/net/tcp") | _listening("/proc/net/tcp6")),
        model_config=_model_config(Path(model)) if model else {},
    )


def load(path: str) -> Facts:
    """Raises CommandLineError for a file that is not such an object."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandLineError(f"--facts {path}: {error}") from error
    known = {f.name for f in fields(Facts)}
    unknown = sorted(set(data) - known) if isinstance(data, dict) else ["(not a JSON object)"]
    if unknown:
        raise CommandLineError(f"--facts {path}: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    if "taken_ports" in data:
        data["taken_ports"] = frozenset(data["taken_ports"])
    return Facts(**data)


def _free_run_dir(port: int) -> str:
    """The default, or one of its own beside it for a second server on the same machine, as vLLM allows."""
    return f"{DEFAULT_RUN_DIR}-{port}" if run_dir_is_in_use(DEFAULT_RUN_DIR) else DEFAULT_RUN_DIR


def run_dir_is_in_use(run_dir: str) -> bool:
    """Whether a supervisord lives there: it holds the lock that `__main__` took before it became one."""
    try:
        fd = os.open(f"{run_dir}/lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""


def _listening(path: str) -> set[int]:
    rows = (line.split() for line in _text(path).splitlines()[1:])
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTEN}


def _model_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def _open_files() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard
