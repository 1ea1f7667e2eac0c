"""The real SGLang behind the whole stack as a trainer is served by it, started once for all tests here; and the
trainers' own clients, each in the virtual environment that `make rl-clients` made for it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import LAUNCH, LOAD_SECONDS, MODEL, NAME, TEMPLATE
from tests.server import ROOT, Server, serving

CLIENTS = Path(__file__).parent / "clients"
CONTEXT = 2048
SECONDS = 300.0
Run = Callable[..., Any]


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Without a key: TRL's client sends none."""
    if not MODEL.is_dir():
        pytest.fail("the CPU engine is not installed: run `make engine`")
    words: tuple[str, ...] = (str(MODEL), "--served-model-name", NAME, "--max-model-len", str(CONTEXT))
    words += ("--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--chat-template", str(TEMPLATE))
    words += ("--max-num-seqs", "8", "--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1")
    env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096", "VLLM_SERVER_DEV_MODE": "1", "VLLM_SHIM_RL": "1"}
    with serving(tmp_path_factory.mktemp("rl"), *words, engine=LAUNCH, env=env) as server:
        server.wait_ready(LOAD_SECONDS)
        yield server


@pytest.fixture(scope="session")
def run() -> Run:
    """`run("trl", "trl_vllm", url)`: what the client's script prints, as JSON."""

    def ran(environment: str, script: str, *words: str) -> Any:
        python = ROOT / ".venv-rl" / environment / "bin/python"
        if not python.exists():
            pytest.fail("the trainers' clients are not installed: run `make rl-clients`")
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "OPENAI_API_KEY": "EMPTY", "HF_HUB_OFFLINE": "1"}
        command = [str(python), "-W", "ignore", str(CLIENTS / f"{script}.py"), *words]
        found = subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert found.returncode == 0, f"{script}:\n{found.stdout}\n{found.stderr}"
        return json.loads(found.stdout.splitlines()[-1])

    return ran
