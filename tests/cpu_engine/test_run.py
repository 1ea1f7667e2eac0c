"""`run.py` as `make run` calls it, over a stand-in for `vllm serve`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pty
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cpu_engine.places import REPOSITORY

COMMAND = shlex.join([sys.executable, str(Path(__file__).with_name("fake_vllm.py"))])
READY = "is ready at http://127.0.0.1:"


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


class Run:
    """`run.py` in a process group of its own, as a shell starts it; its output goes to a file, or a terminal."""

    def __init__(self, tmp_path: Path, what: str, *arguments: str, terminal: bool = False) -> None:
        model = tmp_path / "a-model"
        python = tmp_path / "venv/bin/python"
        for folder in (model, python.parent):
            folder.mkdir(parents=True)
        python.symlink_to(sys.executable)
        self.output = tmp_path / "output"
        self.read_from, write_to = pty.openpty() if terminal else (-1, os.open(self.output, os.O_CREAT | os.O_WRONLY))
        self.process = subprocess.Popen(
            [
                *(sys.executable, REPOSITORY / "cpu_engine/run.py", "--command", COMMAND, "--model", model),
                *arguments,
            ],
            env={
                **os.environ,
                "FAKE_VLLM": what,
                "VLLM_SHIM_ENGINE_VENV": str(tmp_path / "venv"),
                "VLLM_SHIM_RUN_DIR": str(tmp_path / "run dir"),
            },
            stdout=write_to,
            stderr=write_to,
            start_new_session=True,
        )
        os.close(write_to)

    def text(self) -> str:
        return self.output.read_text()

    def until(self, words: str) -> str:
        deadline = time.monotonic() + 20
        while words not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)
        return self.text()

    def ended(self) -> int:
        return self.process.wait(timeout=20)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start_one(what: str, *arguments: str, terminal: bool = False) -> Run:
        runs.append(Run(tmp_path, what, *arguments, terminal=terminal))
        return runs[-1]

    yield start_one
    for run in runs:
        run.kill()


def test_the_server_gets_the_model_its_name_the_port_and_the_rest(start: Callable[..., Run], port: int) -> None:
    text = start("ready", "--port", str(port), "--", "--seed", "1").until("engine:")
    given = json.loads(text.split("arguments: ")[1].splitlines()[0])
    assert given[0] == "serve"
    assert Path(given[1]).name == "a-model"
    assert given[2:] == ["--served-model-name", "a-model", "--port", str(port), "--seed", "1"]
    assert f"engine: {REPOSITORY}/cpu_engine/launch\n" in text


def test_when_it_is_ready_a_request_is_shown_that_works_as_pasted(start: Callable[..., Run], port: int) -> None:
    text = start("ready", "--port", str(port)).until(READY)
    line = next(line for line in text.splitlines() if "curl" in line)
    curl = shlex.split(line[line.index("curl") :])
    assert curl[2] == f"http://127.0.0.1:{port}/v1/chat/completions"
    assert curl[curl.index("-H") + 1] == "Content-Type: application/json"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/v1/chat/completions", curl[curl.index("-d") + 1])
    echoed = json.load(connection.getresponse())
    connection.close()
    assert echoed["model"] == "a-model"
    assert echoed["messages"] == [{"role": "user", "content": "What is the capital of France?"}]


def test_several_models_are_given_as_files_and_nobody_is_asked(
    start: Callable[..., Run], port: int, tmp_path: Path
) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("models: []\n")
    text = start("ready", "--port", str(port), "--models", str(file), "--", "--seed", "1").until("list them")
    given = json.loads(text.split("arguments: ")[1].splitlines()[0])
    assert given == ["serve", "--shim-models", str(file), "--port", str(port), "--seed", "1"]
    assert f"curl -s http://127.0.0.1:{port}/v1/models" in text
    assert "it says" not in text


def test_a_models_file_that_does_not_exist_is_one_sentence(start: Callable[..., Run]) -> None:
    run = start("ready", "--models", "/no/such.yaml")
    assert run.ended() == 1
    assert run.text() == "cpu_engine: there is no file /no/such.yaml: MODELS= names models files\n"


def test_the_model_is_asked_once_and_its_answer_shown(start: Callable[..., Run], port: int) -> None:
    text = start("ready", "--port", str(port)).until("stop it")
    assert "  it says      You asked: What is the capital of France?\n" in text


def test_what_the_engine_prints_beside_its_log_is_left_out_at_the_end(start: Callable[..., Run], port: int) -> None:
    run = start("ready", "--port", str(port))
    run.until("stop it")
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.ended() == 0
    assert "the engine's own last line\n" in run.text()
    assert "nanobind" not in run.text()


def test_the_banner_shows_where_to_look_inside(start: Callable[..., Run], port: int) -> None:
    text = start("ready", "--port", str(port)).until("stop it")
    assert "/run dir' && " in text
    assert "supervisorctl status)" in text


def test_a_served_name_that_the_caller_gives_is_the_one_in_the_request(start: Callable[..., Run], port: int) -> None:
    text = start("ready", "--port", str(port), "--", "--served-model-name", "mine").until(READY)
    assert f"mine {READY}{port}" in text
    assert '"model": "mine"' in text


def test_lines_after_ready_come_through_as_they_are(start: Callable[..., Run], port: int) -> None:
    text = start("ready", "--port", str(port)).until("[middleware] GET /v1/models 200\n")
    assert text.index(READY) < text.index("[middleware] GET")


def test_programs_lines_are_held_back_while_loading(start: Callable[..., Run], port: int) -> None:
    text = start("ready", "--port", str(port)).until(READY)
    assert "[sglang]" not in text
    assert "[haproxy]" not in text


def test_an_early_end_shows_the_last_40_lines_and_has_the_servers_exit_code(
    start: Callable[..., Run], port: int
) -> None:
    run = start("dies", "--port", str(port))
    assert run.ended() == 7
    lines = [line for line in run.text().splitlines() if line.startswith("[")]
    assert len(lines) == 40
    assert lines[-1].endswith("line 59")
    assert run.text().splitlines()[-1] == "cpu_engine: vllm serve ended before it was ready, with exit code 7"


@pytest.mark.parametrize("what", ["ready", "never"])
def test_ctrl_c_stops_all_and_the_servers_exit_code_is_kept(start: Callable[..., Run], port: int, what: str) -> None:
    run = start(what, "--port", str(port))
    run.until(READY if what == "ready" else "engine:")
    time.sleep(0.3)
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.ended() == 0
    assert "stopping" in run.text()
    assert "before it was ready" not in run.text()
    with pytest.raises(ProcessLookupError):
        os.killpg(run.process.pid, 0)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_it_alone_is_handed_on_as_a_termination(
    start: Callable[..., Run], port: int, signum: signal.Signals
) -> None:
    run = start("ready", "--port", str(port))
    run.until(READY)
    run.process.send_signal(signum)
    assert run.ended() == 0
    assert "stopped by SIGTERM" in run.text()


def test_a_terminal_sees_one_line_that_is_written_again(start: Callable[..., Run], port: int) -> None:
    run = start("ready", "--port", str(port), terminal=True)
    seen = b""
    while READY.encode() not in seen:
        assert select.select([run.read_from], [], [], 20)[0], seen
        seen += os.read(run.read_from, 4096)
    os.close(run.read_from)
    text = seen.decode()
    assert "\r\x1b[K   0 s  Load weight begin. avail mem=21.50 GB" in text
    assert "Ignore import error" not in text
    assert "[sglang]" not in text


def test_a_taken_port_is_refused_before_anything_starts(start: Callable[..., Run], port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        run = start("ready", "--port", str(port))
        assert run.ended() == 1
    assert run.text() == f"cpu_engine: port {port} is taken: choose another with PORT=\n"


def test_a_model_folder_that_does_not_exist_is_one_sentence(start: Callable[..., Run]) -> None:
    run = start("ready", "--model", "/nonexistent/model")
    assert run.ended() == 1
    assert run.text() == "cpu_engine: there is no model in /nonexistent/model\n"


@pytest.mark.parametrize("port_text", ["0", "65536", "http"])
def test_a_port_out_of_range_is_a_usage_error(start: Callable[..., Run], port_text: str) -> None:
    run = start("ready", "--port", port_text)
    assert run.ended() == 2
    assert f"'{port_text}' is not a port" in run.text()
