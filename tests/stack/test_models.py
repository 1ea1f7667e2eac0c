"""Several models as `vllm serve --shim-models` starts them: who runs, who dies, who is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from operate import supervisord
from tests.server import ROOT, STAND_IN, Server, command_line, free_port, wait_for
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack
TWO = "models:\n  - {serve: model-a, name: a}\n  - {serve: model-b, name: b}\n"


def ask(server: Server, model: str) -> int:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": model, "messages": messages, "max_tokens": 4}
    return server.client.post("/v1/chat/completions", json=body).status_code


def states(server: Server) -> dict[str, str]:
    return {one["name"]: one["state"] for one in supervisord.programs(server.run_dir)[1]}


def members(server: Server) -> dict[str, str]:
    return {name: state for name, state in states(server).items() if name.startswith(("sglang-", "model-"))}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(TWO)
    return path


def test_the_port_is_open_while_no_model_runs_and_the_first_question_starts_one(file: Path, serve: Serve) -> None:
    server = serve("--shim-models", str(file))
    server.wait_ready()
    assert members(server) == {"sglang-a": "STOPPED", "sglang-b": "STOPPED"}
    assert ask(server, "b") == 200
    assert members(server) == {"sglang-a": "STOPPED", "sglang-b": "RUNNING"}
    assert ask(server, "a") == 200
    assert members(server) == {"sglang-a": "RUNNING", "sglang-b": "STOPPED"}


def test_a_model_that_dies_is_back_at_the_next_question_and_the_container_goes_on(file: Path, serve: Serve) -> None:
    server = serve("--shim-models", str(file), env={"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    server.wait_ready()
    assert ask(server, "a") == 200
    dead = server.pid("sglang-a")
    os.kill(dead, signal.SIGKILL)
    wait_for(lambda: "it is started again when it is asked for" in server.output, "its last words")

    def answered() -> bool:
        return ask(server, "a") == 200  # 503 while it backs off

    wait_for(answered, "an answer of its next life")
    assert server.pid("sglang-a") not in (0, dead)
    assert server.process.poll() is None
    assert ask(server, "b") == 200


@pytest.mark.parametrize("children", [{}, {"STANDIN_CHILDREN_SETSID": "1"}], ids=["in its group", "out of it"])
def test_sigterm_leaves_nobody_behind(children: dict[str, str], tmp_path: Path, serve: Serve) -> None:
    path = tmp_path / "models.yaml"
    path.write_text("slots: 2\n" + TWO)
    server = serve("--shim-models", str(path), env=children)
    server.wait_ready()
    assert (ask(server, "a"), ask(server, "b")) == (200, 200)
    assert members(server) == {"sglang-a": "RUNNING", "sglang-b": "RUNNING"}
    assert server.stop() == 0
    assert server.processes() == {}


def test_a_script_that_passes_no_signal_on_leaves_nobody_behind(tmp_path: Path, serve: Serve) -> None:
    """sglangmux's scripts without `exec`: bash is the process, and the server its child."""
    script = tmp_path / "one.sh"
    script.write_text(
        f"MODEL_NAME=one\nPORT={free_port()}\n{STAND_IN} --served-model-name one --port $PORT\necho over\n"
    )
    server = serve("--shim-models", str(script))
    server.wait_ready()
    assert ask(server, "one") == 200
    assert server.stop() == 0
    assert server.processes() == {}


def test_another_server_takes_its_turn_as_well(tmp_path: Path, serve: Serve) -> None:
    path = tmp_path / "models.yaml"
    other = {"cmd": f"{STAND_IN} --served-model-name other --port ${{PORT}}", "name": "other"}
    path.write_text(json.dumps({"models": [{"serve": "model-a", "name": "a"}, other]}))
    server = serve("--shim-models", str(path))
    server.wait_ready()
    assert (ask(server, "a"), ask(server, "other")) == (200, 200)
    assert members(server) == {"sglang-a": "STOPPED", "model-other": "RUNNING"}
    assert ask(server, "a") == 200


def test_a_models_file_that_is_wrong_starts_nothing_and_says_its_line(tmp_path: Path, serve: Serve) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(TWO + "  - {serve: c, ttl: soon}\n")
    server = serve("--shim-models", str(path))
    assert server.wait_end() == 2
    assert "models.yaml:4: ttl is 'soon': give a number of seconds" in server.output
    assert "spawned" not in server.output


def reload(server: Server) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "operate", "reload", "--run-dir", str(server.run_dir)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def test_a_reload_adds_changes_and_removes_models_and_leaves_the_others_alone(file: Path, serve: Serve) -> None:
    server = serve("--shim-models", str(file))
    server.wait_ready()
    assert ask(server, "a") == 200
    pid = server.pid("sglang-a")
    file.write_text(
        "models:\n  - {serve: c}\n  - {serve: model-a, name: a, aliases: [aa]}\n  - {serve: b-2, name: b}\n"
    )
    done = reload(server)
    assert (done.returncode, done.stdout) == (0, "The models were read again (added: c; changed: b).\n")
    assert ask(server, "aa") == 200
    assert server.pid("sglang-a") == pid
    assert (ask(server, "c"), ask(server, "b")) == (200, 200)
    assert "--model-path b-2" in command_line(server.pid("sglang-b-2"))
    assert members(server).keys() == {"sglang-a", "sglang-b-2", "sglang-c"}
    file.write_text("models:\n  - {serve: c}\n  - {serve: model-a, name: a}\n")
    assert reload(server).stdout == "The models were read again (removed: b).\n"
    assert members(server).keys() == {"sglang-a", "sglang-c"}
    assert ask(server, "b") == 404


def test_a_stream_goes_on_while_a_reload_reorders_models_of_one_last_name(file: Path, serve: Serve) -> None:
    file.write_text("models: [{serve: org1/llama}, {serve: org2/llama}]\n")
    server = serve("--shim-models", str(file), env={"STANDIN_DELAY_MS": "100"})
    server.wait_ready()
    body = {"model": "org2/llama", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 20, "stream": True}
    with server.client.stream("POST", "/v1/chat/completions", json=body) as stream:
        lines = stream.iter_lines()
        next(lines)
        pid = server.pid("sglang-llama-2")
        file.write_text("models: [{serve: org2/llama}, {serve: org0/llama}]\n")
        assert reload(server).stdout == "The models were read again (added: org0/llama; removed: org1/llama).\n"
        assert "data: [DONE]" in list(lines)
    assert server.pid("sglang-llama-2") == pid
    assert members(server).keys() == {"sglang-llama-2", "sglang-llama-3"}


def test_a_reload_of_a_wrong_file_changes_nothing_and_says_its_line(file: Path, serve: Serve) -> None:
    server = serve("--shim-models", str(file))
    server.wait_ready()
    before = (server.run_dir / "supervisord.conf").read_text()
    file.write_text(TWO + "  - {serve: c, ttl: soon}\n")
    done = reload(server)
    assert done.returncode == 1
    assert "models.yaml:4: ttl is 'soon': give a number of seconds: nothing was read again" in done.stderr
    assert (server.run_dir / "supervisord.conf").read_text() == before
    assert ask(server, "a") == 200


def test_no_key_is_kept_for_a_reload(file: Path, serve: Serve) -> None:
    server = serve("--shim-models", str(file), "--api-key", "s3cret", "--hf-token=t0ken")
    server.wait_ready()
    assert ask(server, "a") == 401
    assert reload(server).returncode == 0
    assert ask(server, "a") == 401
    for path in server.run_dir.rglob("*"):
        if path.is_file():
            text = path.read_bytes()
            assert b"s3cret" not in text, path
            assert b"t0ken" not in text, path


def test_each_model_has_its_own_log_and_its_name_in_ours_and_all_of_them_one_budget(file: Path, serve: Serve) -> None:
    server = serve("--shim-models", str(file))
    server.wait_ready()
    assert (ask(server, "a"), ask(server, "b")) == (200, 200)
    for name in ("sglang-a", "sglang-b"):
        assert "supervisor: started" in (server.run_dir / f"log/{name}.log").read_text()
    ours = (server.run_dir / "log/middleware.log").read_text()
    told = {line.partition(" INFO ")[2].partition("engine: ")[0] for line in ours.splitlines() if "engine: " in line}
    assert told == {"a: ", "b: "}
    text = (server.run_dir / "supervisord.conf").read_text()
    assert text.count(f"stdout_logfile_maxbytes={56 * 1024 // 4 // 2}KB") == 2
