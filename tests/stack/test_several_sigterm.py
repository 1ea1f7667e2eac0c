"""SIGTERM over the real stack with several models: who is awake serves on, who would need a switch is told at once."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.server import STAND_IN, Server, wait_for
from tests.stack.conftest import Serve
from tests.stack.test_drain import Asking

pytestmark = pytest.mark.stack
CHAT = "/v1/chat/completions"
LONG = 8_000


def body(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, **more}


def models(path: Path, *members: dict[str, Any], slots: int = 1) -> str:
    path.write_text(json.dumps({"slots": slots, "models": members}))
    return str(path)


def member(server: Server, name: str) -> dict[str, Any]:
    told = server.client.get("/running").json()["models"]
    return next(one for one in told if one["model"] == name)


def is_shutting_down(asking: Asking) -> bool:
    return asking.status == 503 and "The server is shutting down" in asking.lines[0]


def test_whoever_is_awake_serves_through_the_lame_duck_and_nobody_is_switched_to(tmp_path: Path, serve: Serve) -> None:
    """At the end of its turn: a drains for b when the signal comes."""
    a = {"serve": "model-a", "name": "a", "limits": {"min_residency": 0}}
    b = {"serve": "model-b", "name": "b", "limits": {"max_wait": 0}}
    env = {"VLLM_SHIM_LAME_DUCK_SECONDS": "60", "VLLM_SHIM_DRAIN_SECONDS": "60"}
    server = serve("--shim-models", models(tmp_path / "models.json", a, b), env=env)
    server.wait_ready()
    stream = Asking(server, CHAT, body("a", stream=True, max_tokens=60), 100)
    wait_for(lambda: stream.lines, "the first event of a")
    queued = Asking(server, CHAT, body("b"))
    wait_for(lambda: member(server, "a")["state"] == "draining", "it is a's turn to go")
    server.process.send_signal(signal.SIGTERM)
    queued.join()
    assert is_shutting_down(queued)
    assert stream.is_alive()
    assert server.client.post(CHAT, json=body("a")).status_code == 200
    refused = server.client.post(CHAT, json=body("b"))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert member(server, "a")["state"] == "awake"
    assert server.wait_end() == 0
    stream.join()
    assert (stream.status, stream.lines[-1], stream.fault) == (200, "data: [DONE]", "")
    assert server.processes() == {}


def test_a_request_just_behind_the_signal_takes_no_model_down(tmp_path: Path, serve: Serve) -> None:
    """Before the middleware has asked how supervisord is."""
    a = {"serve": "model-a", "name": "a", "limits": {"min_residency": 0}}
    b = {"serve": "model-b", "name": "b", "limits": {"max_wait": 0}}
    env = {"VLLM_SHIM_LAME_DUCK_SECONDS": "60"}
    server = serve("--shim-models", models(tmp_path / "models.json", a, b), env=env)
    server.wait_ready()
    assert server.client.post(CHAT, json=body("a")).status_code == 200
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: server.health() == 503, "supervisord has had the signal")
    assert server.client.post(CHAT, json=body("b")).status_code == 503
    assert server.client.post(CHAT, json=body("a")).status_code == 200
    assert server.wait_end() == 0


def test_who_still_waits_at_the_end_of_the_drain_is_told_so(tmp_path: Path, serve: Serve) -> None:
    """For a model that loads, and for another server's answer."""
    slow = {"serve": "model-slow", "name": "slow", "env": {"STANDIN_LOAD_SECONDS": "3600"}}
    other = {"cmd": f"{STAND_IN} --served-model-name other --port ${{PORT}}", "name": "other"}
    path = models(tmp_path / "models.json", slow, other, slots=2)
    server = serve("--shim-models", path, env={"VLLM_SHIM_DRAIN_SECONDS": "1"})
    server.wait_ready()
    assert server.client.post(CHAT, json=body("other")).status_code == 200
    forwarded = Asking(server, CHAT, body("other", max_tokens=LONG))
    waiting, stream = Asking(server, CHAT, body("slow")), Asking(server, CHAT, body("slow", stream=True))
    messages = Asking(server, "/v1/messages", body("slow", stream=True))
    wait_for(lambda: stream.lines and messages.lines, "their places")
    wait_for(lambda: member(server, "other")["in_flight"] == 1, "it runs")
    assert server.stop() == 0
    for asking in (forwarded, waiting, stream, messages):
        asking.join()
    assert [asking.fault for asking in (forwarded, waiting, stream, messages)] == [""] * 4
    assert is_shutting_down(forwarded)
    assert is_shutting_down(waiting)
    assert "The server is shutting down" in stream.lines[-2]
    assert stream.lines[-1] == "data: [DONE]"
    assert messages.lines[-2] == "event: error"
    assert '"type":"overloaded_error"' in messages.lines[-1]
