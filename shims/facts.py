"""What was read from the machine, as one frozen record, so that everything after it is pure. `gather` reads it;
the preview can take it from a file instead (`render_config.py --facts FILE`: a JSON object with any of these fields).
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from shims import adapters, files, places
from shims.cli import CommandLine
from shims.exceptions import CommandLineError
from shims.places import Places
from shims.values import nested

HOME = Path(__file__).resolve().parent.parent
DEFAULT_RUN_DIR = "/tmp/vllm-shim"  # noqa: S108 - the documented place; made 0700 and owned by us, or refused
DEFAULT_LOG = "/tmp/vllm-shim.log"  # noqa: S108 - the documented place; never followed through a link
SYSTEM_PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin"  # where Debian puts haproxy, and not on a user's PATH
LISTEN = "0A"  # a socket's state in /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Facts:
    home: str = str(HOME)  # the tree that the templates are read from
    run_dir: str = DEFAULT_RUN_DIR
    log_dir: str = f"{DEFAULT_RUN_DIR}/log"
    shim_log: str = DEFAULT_LOG
    python: str = sys.executable  # the interpreter of our own programs
    haproxy: str = "haproxy"  # its path; empty if there is none
    in_kubernetes: bool = False
    grace_seconds: int | None = None  # the pod's terminationGracePeriodSeconds, which only its manifest tells
    ipv6: bool = False
    is_root: bool = False
    umask: int = 0o022
    open_files: int = 16384  # hard limit of open files
    taken_ports: frozenset[int] = frozenset()
    model_config: Mapping[str, Any] = field(default_factory=dict)  # the model's config.json, if it is local
    # generation_config.json of the folder that --generation-config names, else of a local model; None: not to be read
    generation_config: Mapping[str, Any] | None = None
    logging_config: Mapping[str, Any] | None = None  # what VLLM_LOGGING_CONFIG_PATH names; None: not to be read
    unfit_adapters: Mapping[str, str] = field(default_factory=dict)  # folders of --lora-modules: why SGLang cannot
    places: Places = field(default_factory=Places)
    device_memory: tuple[float, ...] | None = None  # GiB of each GPU; looked at where several models share them

    @property
    def architectures(self) -> tuple[str, ...]:
        """As the model's config.json lists them; whatever else stands there is SGLang's to judge."""
        listed = self.model_config.get("architectures")
        return tuple(map(str, listed)) if isinstance(listed, list) else ()


def gather(command: CommandLine, env: Mapping[str, str]) -> Facts:
    run_dir = os.path.abspath(env.get("VLLM_SHIM_RUN_DIR") or _free_run_dir(command.last("--port", 8000)))  # noqa: PTH100
    machine = Facts(
        run_dir=run_dir,
        log_dir=os.path.abspath(env.get("VLLM_SHIM_LOG_DIR") or f"{run_dir}/log"),  # noqa: PTH100
        shim_log=os.path.abspath(env.get("VLLM_SHIM_LOG") or DEFAULT_LOG),  # noqa: PTH100
        haproxy=shutil.which("haproxy", path=f"{env.get('PATH', '')}:{SYSTEM_PROGRAMS}") or "",
        in_kubernetes="KUBERNETES_SERVICE_HOST" in env,
        ipv6=bool(_text("/proc/net/if_inet6")),
        is_root=os.geteuid() == 0,
        umask=_umask(),
        open_files=_open_files(),
        taken_ports=frozenset(_listening("/proc/net/tcp") | _listening("/proc/net/tcp6")),
        places=places.read(command, env, run_dir),
    )
    return of_model(machine, command, env)


def of_model(found: Facts, command: CommandLine, env: Mapping[str, str]) -> Facts:
    """On a machine that is known, what the files of a model say; of several each has its own."""
    model = command.positional or command.last("--model", "")
    return replace(
        found,
        model_config=(_document(Path(model, "config.json")) if model else None) or {},
        generation_config=_generation_config(command, model),
        logging_config=_document(Path(path)) if (path := env.get("VLLM_LOGGING_CONFIG_PATH")) else None,
        unfit_adapters=adapters.unfit(command.last("--lora-modules") or (), model),
    )


def load(path: str) -> Facts:
    """Raises CommandLineError for a file that is not such an object."""
    import msgspec  # noqa: PLC0415 - for the preview alone

    try:
        data = nested.loads(files.read_text(path))
    except (OSError, ValueError) as error:
        raise CommandLineError(f"--facts {path}: {files.reason(error)}") from error
    known = {f.name for f in fields(Facts)}
    unknown = sorted(set(data) - known) if isinstance(data, dict) else ["(not a JSON object)"]
    if unknown:
        raise CommandLineError(f"--facts {path}: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    if "places" in data:
        places.check(data["places"], f"--facts {path}: places")
    try:
        return msgspec.convert(data, Facts)
    except msgspec.ValidationError as error:
        raise CommandLineError(f"--facts {path}: {error}") from error


def _free_run_dir(port: int) -> str:
    """The default, or one of its own beside it for a second server on the same machine, as vLLM allows."""
    return f"{DEFAULT_RUN_DIR}-{port}" if run_dir_is_in_use(DEFAULT_RUN_DIR) else DEFAULT_RUN_DIR


def run_dir_is_in_use(run_dir: str) -> bool:
    """Whether a supervisord lives there: it holds the lock that `__main__` took before it became one."""
    try:
        fd = os.open(f"{run_dir}/lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
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


def _generation_config(command: CommandLine, model: str) -> dict[str, Any] | None:
    source = command.last("--generation-config", "auto")
    folder = model if source in ("auto", "vllm") else source
    return _document(Path(folder, "generation_config.json")) if folder else None


def _document(path: Path) -> dict[str, Any] | None:
    """None for what cannot be read, and for what is no JSON object."""
    try:
        document = nested.loads(files.read_text(path))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def _open_files() -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard
