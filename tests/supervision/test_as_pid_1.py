"""As the container runtime runs it: PID 1 of its own namespace."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.supervision.supervised import Container, eventually, is_alive, processes_with
from tests.supervision.test_orphans import FAMILY, family, parent_of

UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


def is_permitted(command: list[str]) -> bool:
    try:
        return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def namespace() -> list[str]:
    for command in (UNSHARE, [*UNSHARE, "--user", "--map-root-user"]):
        if is_permitted(command):
            return command
    pytest.skip("`unshare --pid --fork --mount-proc` is not permitted here, not even in a user namespace")


def test_orphans_are_swept_and_the_job_of_a_visitors_shell_is_not(tmp_path: Path) -> None:
    under = namespace()
    container = Container(tmp_path, under=under)
    container.program("helper", FAMILY, autorestart="false")
    with container:
        container.said("spawned: 'helper'")
        family(tmp_path, 3)
        # What `kubectl exec` does: a shell from outside, whose background job is left to PID 1.
        enter = ["nsenter", "--target", str(container.pid), "--pid", "--mount"]
        enter += ["--user", "--preserve-credentials"] if "--user" in under else []
        visitor = "VISITOR=" + container.mark
        subprocess.run([*enter, "env", visitor, "sh", "-c", "sleep 600 & true"], check=True)
        (job,) = processes_with(visitor)
        assert parent_of(job) == container.pid

        members = processes_with(f"SUPERVISOR_SERVER_URL=unix://{tmp_path}/sock")
        assert len(members) == 3
        os.kill(next(pid for pid in members if parent_of(pid) == container.pid), signal.SIGKILL)
        eventually(lambda: not any(map(is_alive, members)), "the end of the family")
        assert is_alive(job)
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0


def test_the_exit_code_comes_through(tmp_path: Path) -> None:
    container = Container(tmp_path, under=namespace(), engines="engine")
    container.program("engine", "raise SystemExit(37)")
    with container:
        assert container.exit_code() == 37
    assert container.last_lines(1) == ["[supervisor] the container exits with code 37"]
