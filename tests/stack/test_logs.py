"""The logs of a whole server: one id through all three programs, no prompt in any, links in their places."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server import Server, wait_for
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack
SECRET = "Rumpelstiltskin"
CHAT: dict[str, Any] = {"model": "stand-in", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}
PRIVATE: dict[str, Any] = {**CHAT, "messages": [{"role": "user", "content": f"the name is {SECRET}"}]}


def log_of(server: Server, program: str) -> str:
    return (server.run_dir / f"log/{program}.log").read_text()


def haproxy_lines(server: Server, path: str) -> list[str]:
    return [line for line in log_of(server, "haproxy").splitlines() if f" {path} status=" in line]


def test_one_id_names_a_failed_request_in_all_three_logs(serve: Serve) -> None:
    server = serve("stand-in", "--enable-log-requests")
    server.wait_ready()
    forged = {"x-shim-request-id": "0123456789abcdef", "x-standin": "drop", "x-request-id": "mine"}
    assert server.client.post("/v1/chat/completions?key=sk-1", json=CHAT, headers=forged).status_code == 502
    line = wait_for(lambda: haproxy_lines(server, "/v1/chat/completions"), "haproxy's line")[0]
    found = re.search(r" id=([0-9a-f]{16}) client=127\.0\.0\.1 POST /v1/chat/completions status=502 end=-- ms=", line)
    assert found is not None, line
    name = found[1]
    assert name != "0123456789abcdef"
    wait_for(lambda: f"WARNING {name}: POST /v1/chat/completions: " in log_of(server, "middleware"), "ours")
    wait_for(lambda: f"rid='chatcmpl-mine-{name}'" in log_of(server, "sglang"), "SGLang's")
    assert "sk-1" not in server.output
    wait_for(lambda: f"[haproxy] {line}\n" in server.lines, "the same in the container's output")


def test_sglang_gets_no_header_of_haproxys_and_each_request_another_id(serve: Serve) -> None:
    server = serve("stand-in", env={"VLLM_SHIM_ACCESS_LOG": "1"})
    server.wait_ready()
    for _ in range(20):
        told = server.client.post(
            "/v1/completions", json={"model": "stand-in", "prompt": "x"}, headers={"x-standin": "echo"}
        )
        assert "x-shim" not in told.text
    wait_for(lambda: len(haproxy_lines(server, "/v1/completions")) == 20, "a line for each")
    ids = re.findall(r" id=([0-9a-f]{16}) .* /v1/completions status=200 ", log_of(server, "haproxy"))
    assert len(set(ids)) == 20


def test_haproxy_tells_of_what_went_wrong_alone_and_of_no_probe(ready: Server) -> None:
    ready.client.get("/v1/models?api_key=sk-1")
    ready.client.get("/nowhere", headers={"authorization": "Bearer sk-2"})
    for path in ("/health", "/ping", "/ready"):
        ready.client.get(path)
    ready.supervisorctl("stop", "middleware")
    wait_for(lambda: ready.health() == 503, "no middleware")
    ready.supervisorctl("start", "middleware")
    wait_for(lambda: ready.health() == 200, "healthy again")
    body = {**CHAT, "max_tokens": 8000}
    with pytest.raises(httpx.ReadTimeout):
        ready.client.post("/v1/chat/completions", json=body, headers={"x-standin-delay-ms": "50"}, timeout=1)
    wait_for(lambda: haproxy_lines(ready, "/v1/chat/completions"), "the client who left")
    lines = [line for line in log_of(ready, "haproxy").splitlines() if " status=" in line]
    assert len(lines) == 1
    assert " end=C" in lines[0]
    assert "sk-" not in ready.output


@pytest.mark.parametrize("dumped", [False, True], ids=["by default", "with VLLM_SHIM_DUMP_ERRORS"])
def test_no_prompt_is_in_any_log_unless_failures_are_to_be_written(serve: Serve, dumped: bool) -> None:
    env = {"VLLM_HTTP_MAX_REQUEST_BODY_SIZE": "100000", "VLLM_SHIM_ACCESS_LOG": "1"}
    server = serve(
        "stand-in", "--enable-log-requests", env={**env, **({"VLLM_SHIM_DUMP_ERRORS": "1"} if dumped else {})}
    )
    server.wait_ready()
    assert ("prompts of requests that fail" in server.output) is dumped

    def ask(path: str = "/v1/chat/completions", told: str = "", **body: Any) -> int:
        headers = {"x-standin": told} if told else {}
        return server.client.post(path, json=body or PRIVATE, headers=headers).status_code

    assert ask() == 200
    assert ask("/v1/completions", model="stand-in", prompt=SECRET) == 200
    assert ask("/v1/completions", model=SECRET, prompt=SECRET) == 404
    assert ask(**PRIVATE, n=SECRET) == ask(**PRIVATE, response_format=SECRET) == 400
    assert ask("/v1/embeddings", model="stand-in", input={SECRET: SECRET}) >= 400
    assert ask("/generate", text={SECRET: SECRET}) >= 200
    for told in ("status=400", "status=500", "drop", "truncate"):
        ask(told=told)
    assert ask(**PRIVATE, stream=True) == 200
    ask(told="cut-after=2", **PRIVATE, stream=True)
    assert ask(**PRIVATE, user="x" * 200_000) == 413
    broken = server.client.post(
        "/v1/chat/completions",
        content=b'{"messages": "' + SECRET.encode(),
        headers={"content-type": "application/json"},
    )
    assert broken.status_code == 400
    body = {**PRIVATE, "max_tokens": 8000}
    with pytest.raises(httpx.ReadTimeout):
        server.client.post("/v1/chat/completions", json=body, headers={"x-standin-delay-ms": "50"}, timeout=1)
    metrics = server.client.get("/metrics").text
    os.kill(server.pid("sglang"), signal.SIGKILL)
    wait_for(lambda: server.health() == 503, "/health to tell the truth")
    assert ask() == 503
    assert server.stop() == 0
    dump = server.run_dir / "log/errors.log"
    holding = {path for path in [server.log, *server.run_dir.rglob("*")] if path.is_file() and holds(path)}
    assert holding == ({dump} if dumped else set())
    assert dump.exists() is dumped
    assert SECRET not in server.output
    assert SECRET not in metrics
    if dumped:
        records = [json.loads(line) for line in dump.read_text().splitlines()]
        assert {200, 400, 404, 413, 500, 502} <= {record["status"] for record in records}
        assert all(re.fullmatch("[0-9a-f]{16}", record["id"]) for record in records)
        assert dump.stat().st_mode & 0o777 == 0o600


def holds(path: Path) -> bool:
    return SECRET.encode() in path.read_bytes()


def test_links_in_the_places_of_logs_are_replaced_and_a_volume_keeps_its_mode(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o755)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    names = ("supervisord", "sglang", "middleware", "haproxy", "errors")
    for name in names:
        (folder / f"{name}.log").symlink_to(victim)
    server = serve("stand-in", env={"VLLM_SHIM_LOG_DIR": str(folder), "VLLM_SHIM_DUMP_ERRORS": "1"})
    server.wait_ready()
    for name in names:
        assert f"the log {folder}/{name}.log was a link" in server.output
        assert (folder / f"{name}.log").lstat().st_mode == 0o100600
    assert victim.read_text() == "mine"
    assert folder.stat().st_mode & 0o777 == 0o755
    made = serve("stand-in", env={"VLLM_SHIM_LOG_DIR": str(tmp_path / "made/by/us")})
    wait_for((tmp_path / "made/by/us/supervisord.log").exists, "its log")
    assert (tmp_path / "made/by/us").stat().st_mode & 0o777 == 0o700
    made.stop()
