"""What an operator learns of a running server, and can do to it, whatever of it is dead: the real stack."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server import PATIENCE, ROOT, Server, wait_for
from tests.stack.conftest import Serve
from tests.stack.test_worker_rank import RANK_1, answers
from tests.supervision.programs import READY_THEN_SLEEP
from tests.supervision.supervised import Container
from tests.supervision.test_as_pid_1 import namespace

pytestmark = pytest.mark.stack
WRAPPER = ROOT / "shims/bin/supervisorctl"
SECRETS = ("s3cret-flag", "s3cret-variable", "s3cret-hub", "s3cret-url")
KEY = {"authorization": "Bearer s3cret-flag"}
VARIABLES = {
    "VLLM_API_KEY": "s3cret-variable",
    "HF_TOKEN": "s3cret-hub",
    "HF_ENDPOINT": "https://me:s3cret-url@hub.example",
}
Done = subprocess.CompletedProcess[str]


def operate(server: Server, *words: str) -> Done:
    return run(server, sys.executable, "-I", "-m", "operate", *words)


def supervisorctl(server: Server, *words: str) -> Done:
    return run(server, str(WRAPPER), *words)


def run(server: Server, *command: str) -> Done:
    """From another folder, with nothing in the environment but which of this machine's servers is meant."""
    env = {"PATH": os.environ["PATH"], "VLLM_SHIM_RUN_DIR": str(server.run_dir), "VLLM_SHIM_PYTHON": sys.executable}
    return subprocess.run(command, check=False, cwd="/", env=env, capture_output=True, text=True, timeout=PATIENCE)


def status(server: Server) -> dict[str, Any]:
    done = operate(server, "status", "--json")
    document: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if document["ready"] else 1), done.stderr
    return document


def by_name(document: dict[str, Any]) -> dict[str, Any]:
    return {program["name"]: program for program in document["programs"]}


def is_started_again(server: Server, program: str) -> bool:
    return bool(by_name(status(server))[program]["restarts"])


def is_ready(server: Server) -> bool:
    return bool(status(server)["ready"])


def test_while_it_loads_the_state_is_told_and_then_that_it_is_ready(serve: Serve) -> None:
    server = serve("stand-in", "--max-model-len", "32K", env={"STANDIN_LOAD_SECONDS": "4", "STANDIN_LOAD_REFUSES": "1"})
    wait_for((server.run_dir / "control.sock").exists, "the control socket")
    done = operate(server, "status")
    assert done.returncode == 1, done.stdout
    assert "the engine is loading (phase: start)" in done.stdout
    server.wait_ready()
    done = operate(server, "status")
    assert done.returncode == 0, done.stdout
    assert "READY: stand-in on port" in done.stdout
    assert "--max-model-len 32K" in done.stdout
    assert "--context-length 32768" in done.stdout
    assert "its start took" in done.stdout
    assert status(server)["engine_start_seconds"] >= 4
    assert "its last start took" in supervisorctl(server, "restart", "sglang").stderr


def test_json_is_what_the_socket_answers_and_no_secret_is_in_any_of_it(serve: Serve) -> None:
    server = serve("stand-in", "--api-key", "s3cret-flag", "--hf-token", "s3cret-hub", env=VARIABLES)
    server.wait_ready()
    server.client.get("/v1/models", headers={"authorization": "Bearer s3cret-variable"})
    server.client.post("/v1/completions", headers=KEY, json={"model": "other", "prompt": "s3cret-url", "max_tokens": 0})
    path = server.run_dir / "control.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (server.run_dir / "plan.json").stat().st_mode & 0o777 == 0o600
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=PATIENCE) as client:
        answered = client.get("http://control/status").json()
    printed = status(server)
    moving = ("at", "state", "programs")  # clocks, and STARTING becomes RUNNING
    for name in moving:
        assert answered.pop(name)
        assert printed.pop(name)
    assert answered == printed
    assert {"VLLM_API_KEY", "HF_TOKEN", "--api-key"} <= {one["name"] for one in printed["plan"]["decisions"]}
    said = json.dumps(status(server)) + operate(server, "status").stdout + (server.run_dir / "plan.json").read_text()
    assert [secret for secret in SECRETS if secret in said] == []


def test_a_dead_middleware_and_a_dead_engine_are_told_with_their_deaths(ready: Server) -> None:
    for program in ("middleware", "sglang"):
        os.kill(ready.pid(program), signal.SIGKILL)
        wait_for(partial(is_started_again, ready, program), f"{program} is started again")
        wait_for(lambda: is_ready(ready), "ready again")
        found = by_name(status(ready))[program]
        assert found["last_death"]["how"] == "signal SIGKILL"
        assert re.search(rf"{program} \([\w -]+\): signal SIGKILL", operate(ready, "status").stdout)


@pytest.mark.parametrize("program", ["sglang", "middleware", "haproxy"])
def test_without_one_of_its_programs_it_is_not_ready_and_the_rest_is_told(ready: Server, program: str) -> None:
    supervisorctl(ready, "stop", program)
    wait_for(lambda: not is_ready(ready), "not ready")
    done = operate(ready, "status")
    assert done.returncode == 1
    assert f"- {program} is STOPPED" in done.stdout
    assert "model stand-in" in done.stdout


def test_a_hung_middleware_is_said(ready: Server) -> None:
    pid = ready.pid("middleware")
    os.kill(pid, signal.SIGSTOP)
    done = operate(ready, "status")
    assert done.returncode == 1
    assert "the middleware does not answer within" in done.stdout
    assert by_name(status(ready))["middleware"]["state"] in ("RUNNING", "STARTING")
    os.kill(pid, signal.SIGCONT)


def test_a_hung_front_door_is_said(ready: Server) -> None:
    wait_for(lambda: is_ready(ready), "ready")
    pid = ready.pid("haproxy")
    os.kill(pid, signal.SIGSTOP)
    try:
        done = operate(ready, "status")
        assert done.returncode == 1
        assert "haproxy does not answer within 1 s" in done.stdout
        assert by_name(status(ready))["haproxy"]["state"] in ("RUNNING", "STARTING")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: is_ready(ready), "ready again")


def test_when_nothing_runs_any_more_it_says_so_and_how_it_ended(ready: Server) -> None:
    assert ready.stop() == 0
    done = operate(ready, "status")
    assert done.returncode == 1
    assert "supervisord does not run" in done.stdout
    assert "with exit code 0" in done.stdout
    assert operate(ready, "abort-all").returncode == 1
    assert "supervisorctl" not in supervisorctl(ready, "status").stderr
    assert supervisorctl(ready, "status").returncode != 0


def test_abort_all_ends_streams_and_flush_waits_for_none(ready: Server) -> None:
    ends: list[str] = []

    def read() -> None:
        body = {"model": "stand-in", "prompt": "hi", "max_tokens": 5000, "stream": True}
        headers = {"x-standin-delay-ms": "100"}
        with ready.client.stream("POST", "/v1/completions", json=body, headers=headers) as answer:
            ends.append("".join(answer.iter_text()))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: status(ready)["middleware"]["requests"]["in_flight"] == 3, "three streams run")
    refused = operate(ready, "flush")
    assert refused.returncode == 1
    assert "3 requests are with it" in refused.stderr
    done = operate(ready, "abort-all")
    assert (done.returncode, done.stdout) == (0, "3 requests ran or waited, and SGLang was told to abort all.\n")
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ends) == 3
    assert all('"finish_reason":"abort"' in end for end in ends)
    assert operate(ready, "flush").stdout == "The prefix cache is empty.\n"


def test_supervisorctl_works_from_anywhere_and_says_what_a_restart_means(ready: Server) -> None:
    wait_for(lambda: supervisorctl(ready, "status").stdout.count("RUNNING") == 3, "all RUNNING")
    quiet = supervisorctl(ready, "restart", "middleware")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    said = supervisorctl(ready, "restart", "all")
    assert said.returncode == 0
    assert said.stdout.count(": started") == 3
    assert "the kubelet restarts the container after about 30 s" in said.stderr
    assert "probes and clients are refused" in supervisorctl(ready, "restart", "haproxy").stderr
    named = run(ready, str(WRAPPER), "-s", f"unix://{ready.run_dir}/supervisor.sock", "pid")
    assert named.stdout.strip() == str(ready.process.pid)


def test_a_worker_rank_has_no_middleware_and_misses_none(serve: Serve) -> None:
    worker = serve(*RANK_1, env={"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    wait_for(lambda: answers(worker), "the engine")
    wait_for(lambda: is_ready(worker), "it is all there is")
    assert list(by_name(status(worker))) == ["sglang"]
    assert "none here: a worker rank" in operate(worker, "status").stdout


def test_in_a_container_neither_a_folder_nor_a_variable_is_needed(tmp_path: Path) -> None:
    """What `kubectl exec` starts sees the image's environment, and PID 1."""
    under = namespace()
    container = Container(tmp_path, under=under, engines="sglang")
    container.program("sglang", READY_THEN_SLEEP)
    with container:
        container.said("serving")
        enter = ["nsenter", "--target", str(container.pid), "--pid", "--mount"]
        enter += ["--user", "--preserve-credentials"] if "--user" in under else []
        clean = ["env", "-i", f"PATH={os.environ['PATH']}", f"VLLM_SHIM_PYTHON={sys.executable}"]
        inside = [*enter, *clean]
        done = subprocess.run([*inside, str(WRAPPER), "pid"], check=True, cwd="/", capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("1\n", "")
        asked = [*inside, sys.executable, "-I", "-m", "operate", "status"]
        told = subprocess.run(asked, check=False, cwd="/", capture_output=True, text=True)
        assert (told.returncode, told.stderr) == (1, "")
        assert f"run from {tmp_path}" in " ".join(told.stdout.split())
