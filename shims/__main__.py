"""`vllm ...`: the only side effects of the shims. Gather the facts, write the files, and become supervisord, so that
the process that Kubernetes started owns everything from then on.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import render_config
from shims import VERSION, cli, facts, plan, report
from shims.exceptions import ShimError, StartError
from shims.help import usage
from shims.plan import Plan
from shims.redact import redacted
from supervision.signals import hold_signals

DEFAULT_LOG = "/tmp/vllm-shim.log"  # noqa: S108 - the documented place; never followed through a link
MAX_LOG_BYTES = 1_000_000
HELP = ("--help", "-h")
VERSIONS = ("--version", "-v")


def main(argv: Sequence[str]) -> int:
    if argv[:1] and argv[0] in VERSIONS:
        print(cli.catalogs()[0].version)
        print(f"vllm-to-sglang {VERSION} stands in for this version of vLLM and runs SGLang", file=sys.stderr)
        return 0
    if not argv or any(word.split("=")[0] in HELP for word in argv):
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
        print(text, flush=True)
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
    if not chosen.facts.haproxy:
        raise StartError("haproxy is not installed: it is the front door (Debian and Ubuntu: apt-get install haproxy)")
    model = chosen.model
    if model.startswith(("/", "./", "../", "~")) and not Path(model).exists():
        raise StartError(f"the model folder {model} does not exist in this container: check the path and its volume")
    for file in chosen.files:
        if file.source is not None and not Path(file.source).is_file():
            raise StartError(f"the file {file.source} does not exist, and it is no inline template either")
    program, *rest = chosen.settings.engine
    if shutil.which(program) is None:
        raise StartError(f"VLLM_SHIM_ENGINE: the command '{program}' was not found")
    if rest[:1] == ["-m"] and len(rest) > 1:
        package = rest[1].partition(".")[0]
        probe = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
        if subprocess.run([program, "-c", probe], check=False, env=_engine_env(chosen)).returncode:
            where = shutil.which(program)
            raise StartError(
                f"SGLang is not installed for {where} (no package '{package}'):"
                " set VLLM_SHIM_ENGINE to the command that starts it, or `make engine` for the CPU engine"
            )


def prepare(chosen: Plan) -> None:
    """The run directory, ours alone, with fresh files in it; and haproxy's word that it can be started."""
    run_dir, log_dir = Path(chosen.facts.run_dir), Path(chosen.facts.log_dir)
    for folder in (run_dir, log_dir):
        _private_folder(folder)
    lock = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StartError(f"another server runs from {run_dir}: give this one its own VLLM_SHIM_RUN_DIR") from error
    os.set_inheritable(lock, True)  # supervisord keeps it, and closes it in its children
    shutil.rmtree(run_dir / "ready", ignore_errors=True)
    render_config.write(chosen, run_dir)
    found = subprocess.run(
        [chosen.facts.haproxy, "-c", "-f", str(run_dir / "haproxy.cfg")], check=False, capture_output=True, text=True
    )
    if found.returncode:
        alerts = [line.partition(" : ")[2] for line in found.stderr.splitlines() if "[ALERT]" in line]
        raise StartError(f"haproxy cannot be started: {'; '.join(alerts) or found.stderr.strip()}")


def become_supervisord(chosen: Plan, env: dict[str, str]) -> NoReturn:
    python = chosen.facts.python
    conf = f"{chosen.facts.run_dir}/supervisord.conf"
    env.pop("VLLM_API_KEY", None)
    env.update(chosen.secrets)
    if chosen.api_keys:
        env[plan.KEYS_VARIABLE] = json.dumps(chosen.api_keys)
    os.execve(python, [python, "-I", "-X", "utf8", "-m", "supervision", "-c", conf], env)  # noqa: S606


def log(env: Mapping[str, str], text: str) -> None:
    """Append to VLLM_SHIM_LOG. A log that cannot be written never stops a start, and is said once on stderr."""
    path = Path(env.get("VLLM_SHIM_LOG") or DEFAULT_LOG)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO would block the start
    try:
        with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", errors="backslashreplace") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
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


def _private_folder(folder: Path) -> None:
    """0700 and ours, or an error: a folder that others can write to would let them choose what we start."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise StartError(f"{folder} is not a folder: remove it, or set VLLM_SHIM_RUN_DIR or VLLM_SHIM_LOG_DIR")
        if found.st_uid != os.geteuid():
            raise StartError(f"{folder} belongs to user {found.st_uid}: set VLLM_SHIM_RUN_DIR to a folder of your own")
        folder.chmod(0o700)
    except OSError as error:
        raise StartError(
            f"{folder} cannot be made ({error.strerror}): set VLLM_SHIM_RUN_DIR to a place that is writable"
        ) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
