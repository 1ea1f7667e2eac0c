"""The real supervisord, haproxy and middleware over the stand-in: a request's way, and what an operator sees."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from tests.server import Server, wait_for
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack
CHAT = {"model": "stand-in", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}


def test_a_chat_goes_through_all_parts_and_back(ready: Server) -> None:
    answer = ready.client.post("/v1/chat/completions", json=CHAT)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]
    completion = ready.client.post("/v1/completions", json={"model": "stand-in", "prompt": "hi", "max_tokens": 4})
    assert completion.json()["choices"][0]["text"]


def test_a_stream_ends_whole(ready: Server) -> None:
    with ready.client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
        events = [line for line in answer.iter_lines() if line]
    assert events[-1] == "data: [DONE]"
    assert len(events) > CHAT["max_tokens"]  # type: ignore[operator]
    assert all(json.loads(event.removeprefix("data: ")) for event in events[:-1])


def test_every_served_name_is_listed(serve: Serve) -> None:
    server = serve("stand-in", "--served-model-name", "first", "second")
    server.wait_ready()
    assert [card["id"] for card in server.client.get("/v1/models").json()["data"]] == ["first", "second"]


def test_health_is_an_empty_200_as_in_vllm_and_other_paths_do_not_exist(ready: Server) -> None:
    health = ready.client.get("/health")
    assert (health.status_code, health.content) == (200, b"")
    assert (health.headers["server"], health.headers["vary"]) == ("uvicorn", "Origin")
    assert ready.client.head("/health").status_code == 405
    assert ready.client.get("/metrics/").status_code == 200
    assert ready.client.get("/flush_cache").status_code == 404
    assert ready.client.get("/version").json()["version"] == "0.33.0"


def test_health_is_dressed_as_other_answers_are(serve: Serve) -> None:
    server = serve("stand-in", "--enable-request-id-headers", "--allowed-origins", '["*"]')
    server.wait_ready()
    assert server.client.get("/health", headers={"origin": "https://a"}).headers["access-control-allow-origin"] == "*"
    assert server.client.get("/health", headers={"x-request-id": "rid-81"}).headers["x-request-id"] == "rid-81"
    assert re.fullmatch(r"[0-9a-f]{32}", server.client.get("/health").headers["x-request-id"])


def test_while_the_engine_loads_health_is_503_and_a_request_gets_a_sentence(serve: Serve) -> None:
    server = serve("stand-in", env={"STANDIN_LOAD_SECONDS": "3600"})
    wait_for(lambda: server.health() == 503, "503 while loading")
    body = server.client.get("/health").json()
    assert body["error"]["code"] == 503
    answer = wait_for(lambda: _answer(server, "/v1/models"), "the middleware")
    assert answer is not None
    assert answer.status_code == 503
    assert answer.json()["error"]["message"]
    assert "retry-after" in answer.headers
    assert server.client.get("/metrics").status_code == 200


def test_what_reaches_the_engine_is_byte_for_byte_what_was_given(serve: Serve) -> None:
    nasty = '{"a": "b ; c # d", "e": "100% %(here)s", "é": "it\'s"}'
    server = serve("stand-in", "--json-model-override-args", nasty, "--chat-template", "{{ x }} % ; # \"q\" 'p'\n")
    server.wait_ready()
    argv = wait_for(lambda: _engine_argv(server), "the engine's argv")
    assert argv[argv.index("--json-model-override-args") + 1] == nasty
    template = Path(argv[argv.index("--chat-template") + 1])
    assert template.read_text() == "{{ x }} % ; # \"q\" 'p'\n"


def test_supervisorctl_works_in_the_run_directory_without_options(ready: Server) -> None:
    lines = ready.supervisorctl("status").splitlines()
    assert [line.split()[0] for line in lines] == ["haproxy", "middleware", "sglang"]
    wait_for(lambda: ready.supervisorctl("status").count("RUNNING") == 3, "all RUNNING")
    assert (ready.run_dir / "supervisor.sock").stat().st_mode & 0o777 == 0o700


def test_each_log_holds_its_own_process_and_the_output_has_all_with_their_names(ready: Server) -> None:
    ready.client.post("/v1/chat/completions", json=CHAT)
    logs = {path.stem: path for path in (ready.run_dir / "log").glob("*.log")}
    assert set(logs) == {"sglang", "middleware", "haproxy", "supervisord"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in logs.values())
    wait_for(lambda: "/v1/chat/completions" in logs["sglang"].read_text(), "the request in the engine's log")
    for name in ("sglang", "middleware"):
        first = next(line for line in logs[name].read_text().splitlines() if "] supervisor: " not in line)
        assert f"[{name}] {first}\n" in ready.lines
    assert next(line for line in ready.lines if not re.match(r"\[\w+\] ", line)).startswith("vllm-to-sglang ")


def test_the_access_log_names_the_client_and_believes_nobody_else(ready: Server) -> None:
    log = ready.run_dir / "log" / "middleware.log"
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(transport=elsewhere, base_url=ready.url, headers={"x-forwarded-for": "9.9.9.9"}) as client:
        assert client.get("/v1/models").status_code == 200
    wait_for(lambda: "GET /v1/models" in log.read_text(), "the request in the access log")
    line = next(line for line in log.read_text().splitlines() if "GET /v1/models" in line)
    assert "127.0.0.2" in line
    assert "9.9.9.9" not in line


# As the kernel writes them: 127.0.0.1, ::1, and 127.0.0.1 within IPv6.
LOOPBACK = ("0100007F:", "00000000000000000000000001000000:", "0000000000000000FFFF00000100007F:")


def listening(pids: Iterable[int]) -> set[str]:
    """The addresses at which any of these processes listens, whatever the port."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                inodes.add(str(descriptor.readlink()))
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}


def test_only_the_public_port_listens_beyond_loopback(serve: Serve) -> None:
    server = serve("stand-in", "--host", "0.0.0.0")
    server.wait_ready()
    found = listening(server.processes())
    assert {address for address in found if not address.startswith(LOOPBACK)} == {f"00000000:{server.port:04X}"}
    assert {int(address.rpartition(":")[2], 16) for address in found} >= set(range(server.port, server.port + 3))


def test_a_key_is_asked_for_and_stands_nowhere(serve: Serve) -> None:
    server = serve("stand-in", "--api-key", "s3cret-key", env={"VLLM_API_KEY": "other-s3cret"})
    server.wait_ready()
    assert server.client.get("/v1/models").status_code == 401
    assert server.client.get("/v1/models", headers={"authorization": "Bearer s3cret-key"}).status_code == 200
    assert server.client.get("/metrics").status_code == 200
    for pid, command in server.processes().items():
        assert "s3cret" not in command, pid
    for path in [server.log, *server.run_dir.rglob("*")]:
        if path.is_file():
            assert b"s3cret" not in path.read_bytes(), path
    assert "s3cret" not in server.output
    environ = Path(f"/proc/{server.pid('sglang')}/environ").read_bytes()
    assert b"s3cret" not in environ


def test_long_and_many_headers_pass(ready: Server) -> None:
    assert ready.client.get("/v1/models", headers={"cookie": "x" * 40_000}).status_code == 200
    assert ready.client.get("/v1/models", headers={f"x-{n}": "y" for n in range(150)}).status_code == 200
    assert ready.client.get("/v1/models", headers={"cookie": "x" * 100_000}).status_code == 400


def test_a_client_that_leaves_is_seen_by_the_engine(ready: Server) -> None:
    engine = httpx.Client(base_url=f"http://127.0.0.1:{ready.port + 1}", trust_env=False)

    def active() -> int:
        return int(engine.get("/_stats").json()["active"]) - 1  # without this question itself

    def leave(stream: bool) -> None:
        body = json.dumps({**CHAT, "stream": stream, "max_tokens": 8_000}).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"x-standin-delay-ms: 50\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", ready.port)) as client:
            client.sendall(head.encode() + body)
            wait_for(lambda: active() == 1, "the request at the engine")

    with engine:
        for stream in (True, False):
            leave(stream)
            wait_for(lambda: active() == 0, "the engine to hear that the client left")


def test_a_silent_middleware_leaves_metrics_empty_and_errors_in_the_form_of_vllm(ready: Server) -> None:
    """Stopped for good, its socket queues: a scrape is answered all the same."""
    ready.supervisorctl("stop", "middleware")
    scrape = ready.client.get("/metrics")
    assert (scrape.status_code, scrape.content) == (200, b"")
    assert scrape.headers["content-type"].startswith("text/plain; version=0.0.4")
    wait_for(lambda: ready.health() == 503, "/health to tell the truth")
    ready.supervisorctl("start", "middleware")
    wait_for(lambda: ready.health() == 200, "healthy again")


def test_a_middleware_that_is_busy_for_two_seconds_is_not_taken_for_gone_and_one_that_stays_mute_is(
    ready: Server,
) -> None:
    """As a burst of a thousand requests keeps it, on a machine with little CPU."""
    middleware = ready.pid("middleware")
    os.kill(middleware, signal.SIGSTOP)
    try:
        until = time.monotonic() + 2.5
        said = []
        while time.monotonic() < until:
            said.append(ready.health())
            time.sleep(0.05)
        wait_for(lambda: ready.health() == 503, "one that stays mute is gone")
    finally:
        os.kill(middleware, signal.SIGCONT)
    assert set(said) == {200}
    wait_for(lambda: ready.health() == 200, "it goes on")


def test_256_streams_at_once_all_end_whole_and_health_stays_200(ready: Server) -> None:
    """More than any connection pool's default: no limit of ours may hold requests back."""
    whole, health = [], []

    def stream() -> None:
        with (
            httpx.Client(base_url=ready.url, timeout=120, trust_env=False) as client,
            client.stream(
                "POST",
                "/v1/chat/completions",
                json={**CHAT, "stream": True, "max_tokens": 20},
                headers={"x-standin-delay-ms": "50"},
            ) as answer,
        ):
            whole.append(list(answer.iter_lines())[-2:])

    threads = [threading.Thread(target=stream) for _ in range(256)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        health.append(ready.health())
        threads[0].join(0.1)
        threads = [thread for thread in threads if thread.is_alive()]
    assert len(whole) == 256
    assert all("data: [DONE]" in tail for tail in whole)
    assert set(health) <= {200}


def _answer(server: Server, path: str) -> httpx.Response | None:
    answer = server.client.get(path)
    return None if "middleware is starting" in answer.text else answer


def _engine_argv(server: Server) -> list[str]:
    stats = httpx.get(f"http://127.0.0.1:{server.port + 1}/_stats", trust_env=False).json()
    argv: list[str] = stats["argv"]
    return argv
