"""What probes hear through the whole stack: alive, ready, how far a start has come, and of a wedged engine."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping

import httpx
import pytest

from tests.server import Server, wait_for
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack
CHAT = {"model": "stand-in", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}
KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
PROBES = (("GET", "/health"), ("GET", "/ping"), ("POST", "/ping"), ("GET", "/ready"))
LOADING = {"STANDIN_LOAD_SECONDS": "3600", "STANDIN_LOAD_REFUSES": "1"}


def heard(server: Server, prefix: str = "") -> list[httpx.Response]:
    return [server.client.request(method, f"{prefix}{path}") for method, path in PROBES]


def statuses(server: Server, prefix: str = "") -> set[int]:
    return {answer.status_code for answer in heard(server, prefix)}


def wedge(server: Server, seconds: int = 3600) -> threading.Thread:
    """A request that makes no token for so long: SGLang says that it runs."""
    headers = {"x-standin-delay-ms": str(seconds * 1000)}

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=None, trust_env=False) as client:
            try:
                client.post("/v1/chat/completions", json={**CHAT, "max_tokens": 1}, headers=headers)
            except httpx.TransportError as error:
                print(f"wedged request: {error!r}")

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


@pytest.mark.parametrize("prefix", ["", "/deep/root"])
def test_an_engine_that_serves_is_alive_and_ready_without_a_key_and_without_a_body(prefix: str, serve: Serve) -> None:
    server = serve("stand-in", "--api-key", "s3cret", "--root-path", "/deep/root")
    server.wait_ready()
    for answer in heard(server, prefix):
        assert (answer.status_code, answer.content) == (200, b"")
    assert server.client.post(f"{prefix}/health").status_code == 405
    assert server.client.post(f"{prefix}/ready").status_code == 405


def test_a_loading_engine_is_neither_and_each_probe_says_the_phase_in_the_form_of_vllm(serve: Serve) -> None:
    server = serve("stand-in", "--root-path", "/root", env={**LOADING, "STANDIN_SAYS": "Load weight begin. avail mem"})
    wait_for(lambda: server.health() == 503, "503 while loading")
    for prefix in ("", "/root"):
        for method, path in PROBES:
            said = wait_for(lambda: _phase_said(server, method, f"{prefix}{path}"), f"{path} to say the phase")  # noqa: B023
            assert said is not None
            assert (said["type"], said["param"], said["code"]) == ("ServiceUnavailableError", None, 503)
    refused = server.client.post("/v1/chat/completions", json=CHAT)
    assert refused.status_code == 503
    assert "(phase: load)" in refused.json()["error"]["message"]
    assert "engine: now load" in (server.run_dir / "log/middleware.log").read_text()


def test_a_dead_middleware_says_no_phase_and_still_503(serve: Serve) -> None:
    server = serve("stand-in", env={**LOADING, "STANDIN_SAYS": "Load weight begin. avail mem"})
    wait_for(lambda: server.health() == 503, "503 while loading")
    wait_for(lambda: _phase_said(server, "GET", "/health"), "the phase")
    server.supervisorctl("stop", "middleware")
    for method, path in PROBES:
        wait_for(lambda: _phase_said(server, method, path) is None, "the phase to be forgotten")  # noqa: B023
    assert statuses(server) == {503}


def test_the_phase_is_of_this_life_and_not_of_the_last(serve: Serve) -> None:
    server = serve("stand-in", env={"STANDIN_SAYS": "Load weight begin. avail mem"})
    server.wait_ready()
    log = server.run_dir / "log/sglang.log"
    births = log.read_text().count("] supervisor: started\n")
    os.kill(server.pid("sglang"), signal.SIGKILL)
    wait_for(lambda: server.health() == 503, "the death to be seen")
    wait_for(lambda: server.health() == 200, "the next engine")
    assert births == 1
    assert log.read_text().count("] supervisor: started\n") == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_every_probe_hears_of_the_engines_death(number: signal.Signals, ready: Server) -> None:
    os.kill(ready.pid("sglang"), number)
    wait_for(lambda: statuses(ready) == {503}, "503 from every probe")
    wait_for(lambda: statuses(ready) == {200}, "the next engine")


@pytest.mark.parametrize("lame_duck", ["5", "0"])
def test_from_sigterm_on_every_probe_is_503_while_a_stream_goes_on(lame_duck: str, serve: Serve) -> None:
    env = {"VLLM_SHIM_LAME_DUCK_SECONDS": lame_duck, "VLLM_SHIM_DRAIN_SECONDS": "20"}
    server = serve("stand-in", env=env)
    server.wait_ready()
    # Connections that are there already: after the lame duck haproxy takes no new ones.
    clients = [httpx.Client(base_url=server.url, timeout=60, trust_env=False) for _ in PROBES]
    for client, (method, path) in zip(clients, PROBES, strict=True):
        assert client.request(method, path).status_code == 200
    body = {**CHAT, "stream": True, "max_tokens": 80}
    with server.client.stream(
        "POST", "/v1/chat/completions", json=body, headers={"x-standin-delay-ms": "50"}
    ) as answer:
        lines = answer.iter_lines()
        next(lines)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: server.health() != 200, "/health to say that it goes")
        for client, (method, path) in zip(clients, PROBES, strict=True):
            try:
                assert client.request(method, path).status_code == 503, path
            except httpx.TransportError:
                assert lame_duck == "0"  # haproxy closes what is idle when it stops
            client.close()
        assert [line for line in lines if line][-1] == "data: [DONE]"
    assert server.wait_end() == 0


def test_a_long_prefill_makes_no_probe_wait(ready: Server) -> None:
    """A probe that waited for it would wait for longer than the probes' client does."""
    began = time.monotonic()
    thread = wedge(ready, seconds=10)
    with httpx.Client(base_url=ready.url, timeout=3, trust_env=False) as probes:
        while thread.is_alive():
            assert {probes.request(method, path).status_code for method, path in PROBES} == {200}
            thread.join(0.1)
    assert time.monotonic() - began > 10, "there was no prefill"


@pytest.mark.parametrize(
    ("env", "restart"), [(KUBERNETES, "exit"), ({}, "in-place")], ids=["in Kubernetes", "outside of it"]
)
def test_a_wedged_engine_is_ended_where_the_operator_wants_it(
    env: Mapping[str, str], restart: str, serve: Serve
) -> None:
    server = serve("stand-in", env={**env, "VLLM_SHIM_STALL_SECONDS": "10"})
    server.wait_ready()
    first = server.pid("sglang")
    thread = wedge(server)
    if restart == "exit":
        assert server.wait_end() == 128 + signal.SIGKILL
        tail = "".join(server.lines[-40:])
        assert "sglang: signal SIGKILL; wedged: no token for " in tail
        assert "while 1 request ran or waited; lost after it had been ready; restart policy is exit" in tail
    else:
        wait_for(lambda: server.pid("sglang") not in (0, first), "another engine")
        wait_for(lambda: server.health() == 200, "it serves")
        assert "sglang: signal SIGKILL; wedged: no token for " in server.output
        assert server.client.post("/v1/chat/completions", json=CHAT).status_code == 200
    thread.join()
    assert "engine: stalled: no token for" in server.output
    assert not list((server.run_dir / "ready").glob("*.stalled"))


def _phase_said(server: Server, method: str, path: str) -> dict[str, object] | None:
    answer = server.client.request(method, path)
    assert answer.status_code == 503
    error: dict[str, object] = answer.json()["error"]
    return error if "(phase: load)" in str(error["message"]) else None
