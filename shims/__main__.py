"""`vllm ...`: the only side effects of the shims. Gather the facts, write the files, and become supervisord, so that
the process that Kubernetes started owns everything from then on.
"""

from __future__ import annotations

import os

from supervision.signals import hold_signals

if __name__ == "__main__" and os.getpid() == 1:
    # It has no default actions: a SIGTERM that came during the imports would be lost. Held, it waits for supervisord.
    hold_signals()

import contextlib
import fcntl
import json
import shlex
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import render_config
from shims import VERSION, caches, checks, cli, engines, facts, files, front_door, report, start
from shims.catalog import catalogs
from shims.exceptions import ShimError, StartError
from shims.help import usage
from shims.plan import Plan
from shims.redact import redacted
from supervision import shimlog
from supervision.lastwords import write_termination_log

TERMINATION_LOG = Path("/dev/termination-log")  # what `kubectl describe pod` shows of a container that has ended
LONGEST_SOCKET = 107 - len(".4194304")  # supervisord binds it under a name with its pid first
HELP = ("--help", "-h")
VERSIONS = ("--version", "-v")


def main(argv: Sequence[str]) -> int:
    if argv[:1] and argv[0] in VERSIONS:
        print(catalogs()[0].version)
        print(f"vllm-to-sglang {VERSION} stands in for this version of vLLM and runs SGLang", file=sys.stderr)
        return 0
    serving = argv[:1] and argv[0] in (*cli.SUBCOMMANDS, *HELP)
    if not argv or (serving and any(word.split("=")[0] in HELP for word in argv)):
        print(usage(), end="")
        return 0 if argv else 2
    env = dict(os.environ)
    try:
        log(env, "arguments: " + shlex.join(redacted(argv)))
        chosen = start.plan(argv, env)
        text = report.text(chosen)
        say(text)
        log(env, text)
        checks.check(chosen)
        prepare(chosen)
        become_supervisord(chosen, env)
    except ShimError as error:
        print(f"vllm: error: {error}", file=sys.stderr)
        log(env, f"error: {error}")
        write_termination_log(TERMINATION_LOG, f"vllm: error: {error}\n")
        return error.exit_code


def prepare(chosen: Plan) -> None:
    """Raises StartError."""
    try:
        _run_directory(chosen)
    except OSError as error:  # a full disk, a read-only file system, a link where the lock should be
        path = error.filename or chosen.facts.run_dir
        raise StartError(f"{path} cannot be written: {files.reason(error)}; VLLM_SHIM_RUN_DIR names another") from error


def _run_directory(chosen: Plan) -> None:
    """Ours alone, with fresh files in it; and haproxy's word that it can be started."""
    run_dir, log_dir = Path(chosen.facts.run_dir), Path(chosen.facts.log_dir)
    if len(f"{run_dir}/supervisor.sock") > LONGEST_SOCKET:
        raise StartError(f"the path {run_dir} is too long for a socket in it: set VLLM_SHIM_RUN_DIR to a shorter one")
    _private_folder(run_dir, "VLLM_SHIM_RUN_DIR", log_dir)
    _log_folder(log_dir)
    lock = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StartError(f"another server runs from {run_dir}: give this one its own VLLM_SHIM_RUN_DIR") from error
    os.set_inheritable(lock, True)  # supervisord keeps it, and closes it in its children
    shutil.rmtree(run_dir / "ready", ignore_errors=True)
    render_config.write(chosen, run_dir)
    for engine in chosen.engines:
        caches.make(engine.env, chosen.facts.places)
    if chosen.front_door:
        front_door.accepts(chosen)


def become_supervisord(chosen: Plan, env: dict[str, str]) -> NoReturn:
    python = chosen.facts.python
    conf = f"{chosen.facts.run_dir}/supervisord.conf"
    env.pop("VLLM_API_KEY", None)
    env.update(chosen.secrets)
    if chosen.api_keys:
        env[engines.KEYS_VARIABLE] = json.dumps(chosen.api_keys)
    try:
        os.execve(python, [python, "-I", "-X", "utf8", "-m", "supervision", "-c", conf], env)  # noqa: S606
    except OSError as error:  # more keys than the environment holds
        raise StartError(f"supervisord cannot be started: {files.reason(error)}") from error


def say(text: str) -> None:
    """To standard output, whether anybody reads it or not."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), text.encode("utf-8", "backslashreplace"))


def log(env: Mapping[str, str], text: str) -> None:
    """Append to VLLM_SHIM_LOG. A log that cannot be written never stops a start, and is said on stderr."""
    path = Path(env.get("VLLM_SHIM_LOG") or facts.DEFAULT_LOG)
    try:
        shimlog.append(path, text)
    except shimlog.Unwritable as why:
        print(f"vllm: VLLM_SHIM_LOG {path} {why}", file=sys.stderr)


def _private_folder(folder: Path, variable: str, log_dir: Path) -> None:
    """Made 0700. One that is there already must be ours alone: others could choose what we start, and what belongs
    to others as well is not ours to lock."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StartError(f"{folder} cannot be made ({error.strerror}): set {variable} to a place to write") from error
    if not stat.S_ISDIR(found.st_mode):
        raise StartError(f"{folder} is not a folder: remove it, or set {variable}")
    if found.st_uid == os.geteuid() and not found.st_mode & 0o022 and _only_holds_a_volume(folder, log_dir):
        folder.chmod(0o700)
        return
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StartError(
            f"{folder} is open to others: set {variable} to a folder of its own, such as {folder}/vllm-shim"
        )


def _only_holds_a_volume(folder: Path, log_dir: Path) -> bool:
    """The container's runtime makes the folders on the way to a volume, open to all."""
    return log_dir.is_mount() and list(folder.iterdir()) == [log_dir]


def _log_folder(folder: Path) -> None:
    """Made 0700; one that is there is taken as it is, a volume for example: the files in it are 0600."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"{folder} cannot be made ({error.strerror}): set VLLM_SHIM_LOG_DIR") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StartError(f"{folder} cannot be written to: set VLLM_SHIM_LOG_DIR to a place to write")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
