"""The image's HEALTHCHECK: what it says while a server loads, serves, is about to stop, and is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT, Server, serving, wait_for

pytestmark = pytest.mark.stack
LOADS = (1, "the engine is not serving: it is loading, or gone")


def asked(run_dir: Path) -> tuple[int, str]:
    """As the Dockerfile has it."""
    words = [sys.executable, "-I", "-S", str(ROOT / "operate/health.py")]
    env = {**os.environ, "VLLM_SHIM_RUN_DIR": str(run_dir)}
    found = subprocess.run(words, check=False, capture_output=True, text=True, env=env)
    assert found.stderr == ""
    return found.returncode, found.stdout.strip()


def until_ready(server: Server) -> set[tuple[int, str]]:
    seen = set()
    while (said := asked(server.run_dir))[0]:
        seen.add(said)
    return seen


def test_it_says_what_health_says_all_through_a_life(tmp_path: Path) -> None:
    env = {"STANDIN_LOAD_SECONDS": "2", "VLLM_SHIM_LAME_DUCK_SECONDS": "3"}
    with serving(tmp_path, "m", env=env) as server:
        before = until_ready(server)
        assert LOADS in before
        assert server.health() == 200
        assert asked(server.run_dir) == (0, "requests are served")
        server.process.terminate()
        wait_for(lambda: asked(server.run_dir) == (1, "the server is about to stop"), "a lame duck")
    assert asked(server.run_dir)[0] == 1


def test_a_unix_socket_in_the_place_of_a_port_is_no_matter(tmp_path: Path) -> None:
    with serving(tmp_path, "m", "--uds", f"{tmp_path}/public.sock") as server:
        until_ready(server)
        assert asked(server.run_dir) == (0, "requests are served")


def test_where_nothing_was_started_it_is_not_healthy(tmp_path: Path) -> None:
    code, said = asked(tmp_path / "nobody")
    assert (code, said[:24]) == (1, "nothing was started from")
