"""docs/operating.md: each of its commands is run as it stands there, in a container that serves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT, Server, wait_for
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack
TEXT = (ROOT / "docs/operating.md").read_text()
COMMANDS = re.findall(r"```sh\n\s*(.*?)\n\s*```", TEXT)
# What each prints, whatever else.
SAYS = (
    "READY: stand-in",
    '"ready": true',
    '"ready":true',
    "fired up and ready to roll",
    "0 requests ran or waited",
    "The prefix cache is empty",
    "middleware: started",
    "[program:sglang]",
    '"phase":',
    "sglang: started",
)


def run(server: Server, command: str) -> subprocess.CompletedProcess[str]:
    """As in a shell of the container: our commands on PATH, nothing of ours in the environment."""
    path = f"{ROOT / 'shims/bin'}:{Path(sys.executable).parent}:/usr/bin:/bin"
    command = command.replace("/tmp/vllm-shim", str(server.run_dir))
    env = {"PATH": path, "VLLM_SHIM_RUN_DIR": str(server.run_dir), "VLLM_SHIM_PYTHON": sys.executable}
    return subprocess.run(
        ["/bin/sh", "-c", command], check=False, capture_output=True, text=True, timeout=120, env=env, cwd="/"
    )


def test_there_are_ten() -> None:
    assert len(COMMANDS) == len(SAYS) == 10


def test_each_command_of_the_ten_works_in_a_container_that_serves(serve: Serve) -> None:
    server = serve("stand-in")
    server.wait_ready()
    for command, says in zip(COMMANDS, SAYS, strict=True):
        wait_for(lambda: server.health() == 200, f"ready before {command}")
        found = run(server, command)
        assert found.returncode == 0, (command, found.stdout, found.stderr)
        assert says in found.stdout, (command, found.stdout, found.stderr)
    wait_for(lambda: server.health() == 200, "ready again")
    assert run(server, "supervisorctl shutdown").returncode == 0
    assert server.wait_end() == 0


def test_the_numbers_of_the_page_are_those_of_the_code(serve: Serve) -> None:
    server = serve("stand-in", env={"VLLM_SHIM_LAME_DUCK_SECONDS": "5"})
    server.wait_ready()
    said = re.search(r"on SIGTERM: .* up to (\d+) s, .* have (\d+) s to finish; all ends within (\d+) s", server.output)
    assert said is not None
    lame_duck, drain, whole = said.groups()
    assert f"`VLLM_SHIM_LAME_DUCK_SECONDS` ({lame_duck};" in TEXT
    assert f"`VLLM_SHIM_DRAIN_SECONDS`, {drain})" in TEXT
    assert f"{whole} s by default" in TEXT
    plan = json.loads((server.run_dir / "plan.json").read_text())
    assert plan["models"] == ["stand-in"]
    assert (server.run_dir / "plan.json").stat().st_mode & 0o077 == 0
