"""The program itself: how it listens, what it says, how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from middleware.listen import CannotListen, listening_socket
from middleware.settings import Settings, SettingsError
from tests.middleware.serving import (
    PATIENCE,
    Served,
    free_port,
    process,
    process_environment,
    served,
    stand_in,
    status_of,
    wait_for,
)  # fmt: skip

COMMAND = [sys.executable, "-I", "-m", "middleware"]
HELLO = {"role": "user", "content": "hi"}


@contextmanager
def running(upstream: int, *args: str, **options: Any) -> Iterator[tuple[subprocess.Popen[str], Served]]:
    port = free_port()
    command = [*COMMAND, "--port", str(port), "--upstream", f"http://127.0.0.1:{upstream}", *args]
    with process(*command, **options) as middleware, served(port) as front:
        wait_for(lambda: status_of(f"{front.url}/health"), "it listens")
        yield middleware, front


def stopped(middleware: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    middleware.send_signal(number)
    output, _ = middleware.communicate(timeout=PATIENCE)
    assert middleware.returncode == 0, output
    return output


def settings(**given: Any) -> Settings:
    return Settings(upstream_host="127.0.0.1", upstream_port=1, **given)


def test_it_starts_alone_serves_when_the_engine_comes_and_stops_with_0(tmp_path: Path) -> None:
    engine_port = free_port()
    ready_file = tmp_path / "ready"
    secret = "sk-very-secret"
    env = {"VLLM_SHIM_API_KEYS": json.dumps([secret]), "VLLM_SHIM_STRIP_PARAMS": "logprobs"}
    with running(engine_port, "--ready-file", str(ready_file), env=env) as (program, front):
        assert front.get("/health").status_code == 503
        assert not ready_file.exists()
        stand_in_command = [sys.executable, "tests/fakes/sglang.py", "--port", str(engine_port)]
        with process(*stand_in_command, env={"STANDIN_CHILDREN": "0"}):
            wait_for(lambda: front.get("/health").status_code == 200, "it is ready")
            assert ready_file.stat().st_mode & 0o777 == 0o600
            body = {"prompt": "a secret prompt", "logprobs": 1}
            assert front.post("/v1/completions", json=body).status_code == 401
            headers = {"authorization": f"Bearer {secret}", "x-standin": "echo"}
            answer = front.post("/v1/completions", json=body, headers=headers)
            sent = json.loads(answer.json()["body"])
            assert sent.pop("rid").startswith("cmpl-")
            assert sent == {"prompt": "a secret prompt"}
        wait_for(lambda: front.get("/health").status_code == 503, "the engine is gone")
        command_line = Path(f"/proc/{program.pid}/cmdline").read_text()
        output = stopped(program)
    assert "engine: loading -> ready" in output
    assert "engine: ready -> gone" in output
    for text in (output, command_line):
        assert secret not in text
        assert "secret prompt" not in text


@pytest.mark.parametrize(
    ("args", "env", "words"),
    [
        ([], {}, "--upstream"),
        (["--upstream", "http://127.0.0.1:1"], {}, "--port or --fd"),
        (["--upstream", "x", "--port", "1"], {}, "not of the form"),
        (["--upstream", "http://127.0.0.1:1", "--fd", "77"], {}, "--fd 77 is not a socket"),
        (["--upstream", "http://127.0.0.1:1", "--port", "2"], {"VLLM_SHIM_API_KEYS": "x"}, "not valid JSON"),
        (["--upstream", "http://127.0.0.1:1", "--port", "2"], {"VLLM_SHIM_EXPOSE_ROUTES": "/nope"}, "/nope"),
    ],
)
def test_wrong_settings_end_it_with_2_and_one_sentence(args: list[str], env: dict[str, str], words: str) -> None:
    with process(*COMMAND, *args, env=env) as program:
        output, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 2
    assert output.startswith("middleware: error: ")
    assert words in output
    assert output.count("\n") == 1


def test_a_taken_port_ends_it_with_1_and_one_sentence() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with process(*COMMAND, "--upstream", "http://127.0.0.1:1", "--port", str(port)) as program:
            output, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 1
    assert output == f"middleware: error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_an_inherited_socket_outlives_it_and_no_connection_is_refused() -> None:
    with socket.socket() as holder, stand_in() as engine:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        command = [*COMMAND, "--fd", "0", "--upstream", engine.url]
        with served(holder.getsockname()[1]) as front:
            for _ in range(2):
                with subprocess.Popen(
                    command, stdin=holder.fileno(), stderr=subprocess.DEVNULL, env=process_environment()
                ) as program:
                    # The first question waits in the socket's queue until the program has started.
                    wait_for(lambda: front.get("/health").status_code == 200, "it is ready")
                    program.terminate()
                    assert program.wait(PATIENCE) == 0
                front.client.close()
                front.client = httpx.Client(base_url=front.url, timeout=PATIENCE, trust_env=False)


@pytest.mark.parametrize("inherited", [False, True])
def test_tokens_are_not_held_back_on_any_connection(inherited: bool) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        given = {"fd": os.dup(holder.fileno())} if inherited else {}
        with listening_socket(settings(**given)) as listener:
            assert listener.family is socket.AF_INET
            with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_it_listens_on_loopback_alone() -> None:
    with listening_socket(settings()) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
        with pytest.raises(CannotListen):
            listening_socket(settings(port=listener.getsockname()[1]))
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))
        with pytest.raises(SettingsError, match="not a TCP socket on loopback"):
            listening_socket(settings(fd=everywhere.fileno()))


def test_a_file_is_no_socket_to_listen_on(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    try:
        with pytest.raises(SettingsError, match="is not a socket"):
            listening_socket(settings(fd=descriptor))
    finally:
        os.close(descriptor)


def test_at_the_end_of_its_grace_a_stream_ends_with_an_error_event() -> None:
    with stand_in("--delay-ms", "50") as engine, running(engine.port) as (program, front):
        wait_for(lambda: front.get("/health").status_code == 200, "it is ready")
        body = {"messages": [HELLO], "stream": True, "max_tokens": 8_000}
        with front.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: {")
            program.terminate()
            *_, error, blank, done, end = lines
        assert json.loads(error.removeprefix("data: "))["error"]["code"] == 503
        assert (blank, done, end) == ("", "data: [DONE]", "")
        output, _ = program.communicate(timeout=PATIENCE)
        assert program.returncode == 0, output
        assert "Traceback" not in output
        wait_for(lambda: engine.stats()["active"] == 1, "the engine has stopped generating")


def test_within_its_grace_a_stream_ends_whole() -> None:
    with stand_in("--delay-ms", "20") as engine, running(engine.port) as (program, front):
        wait_for(lambda: front.get("/health").status_code == 200, "it is ready")
        body = {"messages": [HELLO], "stream": True, "max_tokens": 20}
        with front.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: {")
            program.terminate()
            events = [line for line in lines if line]
        assert events[-1] == "data: [DONE]"
        assert '"finish_reason":"stop"' in events[-2]
        output, _ = program.communicate(timeout=PATIENCE)
        assert program.returncode == 0, output


def test_it_can_be_stopped_with_ctrl_c_too() -> None:
    with running(free_port()) as (program, _):
        stopped(program, signal.SIGINT)
