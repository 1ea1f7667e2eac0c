"""`vllm ...`: the only side effects of the shims. Gather the facts, write the files, and become supervisord, so that
the process that Kubernetes started owns everything from then on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import render_config
from shims import VERSION, caches, cli, facts, files, front_door, plan, report
from shims.catalog import catalogs
from shims.exceptions import ShimError, StartError
from shims.help import usage
from shims.plan import Plan
from shims.redact import redacted
from supervision.signals import hold_signals

DEFAULT_LOG = "/tmp/vllm-shim.log"  # noqa: S108 - the documented place; never followed through a link
MAX_LOG_BYTES = 1_000_000
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
    if os.getpid() == 1:
        # It has no default actions: a SIGTERM that comes now would be lost. Held, it waits for supervisord.
        hold_signals()
    env = dict(os.environ)
    try:
        log(env, "arguments: " + shlex.join(redacted(argv)))
        command = cli.from_words(argv)
        chosen = plan.make(command, env, facts.gather(command, env))
        text = report.text(chosen)
        say(text)
        log(env, text)
        check(chosen)
        prepare(chosen)
        become_supervisord(chosen, env)
    except ShimError as error:
        print(f"vllm: error: {error}", file=sys.stderr)
        log(env, f"error: {error}")
        return error.exit_code


def check(chosen: Plan) -> None:
    """What would only show after the start, said before it. Raises StartError."""
    if chosen.front_door:
        front_door.check(chosen)
    model = chosen.model
    if model.startswith(("/", "./", "../", "~")) and (why := files.absence(model)):
        raise StartError(f"the model folder {model} {why} in this container: check the path and its volume")
    for template in _templates(chosen):
        if why := files.unreadable(template):
            raise StartError(f"the file {template} {why}, and it is no inline template either")
    logging_config = chosen.engines[0].env.get("SGLANG_LOGGING_CONFIG_PATH")
    if logging_config and chosen.facts.logging_config is None:
        raise StartError(f"VLLM_LOGGING_CONFIG_PATH: {logging_config} cannot be read as JSON: check it and its volume")
    program, *rest = chosen.settings.engine
    if shutil.which(program) is None:
        raise StartError(f"VLLM_SHIM_ENGINE: the command '{program}' was not found")
    if rest[:1] == ["-m"] and len(rest) > 1:
        package = rest[1].partition(".")[0]
        probe = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
        where = shutil.which(program)
        try:
            found = subprocess.run([program, "-c", probe], check=False, env=_engine_env(chosen)).returncode == 0
        except OSError as error:
            raise StartError(f"VLLM_SHIM_ENGINE: {where} cannot be run: {files.reason(error)}") from error
        if not found:
            raise StartError(
                f"SGLang is not installed for {where} (no package '{package}'):"
                " set VLLM_SHIM_ENGINE to the command that starts it, or `make engine` for the CPU engine"
            )


def _templates(chosen: Plan) -> Iterator[str]:
    """Chat templates that are files of the operator's: those that are copied, and those that SGLang is pointed to."""
    yield from (file.source for file in chosen.files if file.source is not None)
    ours = {f"{chosen.facts.run_dir}/{file.name}" for file in chosen.files}
    words = chosen.engines[0].argv
    named = (value for flag, value in pairwise(words) if flag == "--chat-template")
    yield from (path for path in named if "/" in path and path not in ours)


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
    _private_folder(run_dir, "VLLM_SHIM_RUN_DIR")
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
        env[plan.KEYS_VARIABLE] = json.dumps(chosen.api_keys)
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
    path = Path(env.get("VLLM_SHIM_LOG") or DEFAULT_LOG)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO would block the start
    try:
        if path.exists() and not path.is_file():
            print(f"vllm: VLLM_SHIM_LOG {path} is no regular file: not written to", file=sys.stderr)
            return
        with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", errors="backslashreplace") as file:
            os.fchmod(file.fileno(), 0o600)
            if os.fstat(file.fileno()).st_size > MAX_LOG_BYTES:
                file.truncate(0)
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")
            file.writelines(f"{stamp} {line}\n" for line in text.splitlines())
    except OSError as error:
        print(f"vllm: VLLM_SHIM_LOG {path} cannot be written: {error.strerror}", file=sys.stderr)


def _engine_env(chosen: Plan) -> dict[str, str]:
    engine = chosen.engines[0]
    return {name: value for name, value in {**os.environ, **engine.env}.items() if name not in engine.unset}


def _private_folder(folder: Path, variable: str) -> None:
    """Made 0700. One that is there already must be ours alone: others could choose what we start, and what belongs
    to others as well is not ours to lock."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StartError(f"{folder} cannot be made ({error.strerror}): set {variable} to a place to write") from error
    if not stat.S_ISDIR(found.st_mode):
        raise StartError(f"{folder} is not a folder: remove it, or set {variable}")
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StartError(
            f"{folder} is open to others: set {variable} to a folder of its own, such as {folder}/vllm-shim"
        )


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
