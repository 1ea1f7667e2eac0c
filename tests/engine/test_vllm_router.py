"""vLLM's own router (the Rust one, `vllm-router`) in front of the stack: it takes us for a vLLM."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.engine.conftest import KEY, NAME
from tests.server import Server, free_port, serving, wait_for

ROUTER = Path(sys.executable).parent / "vllm-router"


@contextlib.contextmanager
def routing(server: Server, log: Path) -> Iterator[str]:
    """The router's address, with this server for its only worker. Ctrl-C is how it is meant to end."""
    port = free_port()
    words = [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--prometheus-port",
        str(port + 1),
        "--worker-urls",
        server.url,
    ]
    health = ["--health-check-interval-secs", "1", "--health-failure-threshold", "1", "--health-success-threshold", "1"]
    with log.open("wb") as output:
        router = subprocess.Popen(
            [sys.executable, ROUTER, *words, *health, "--policy", "round_robin", "--disable-retries"],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        router.send_signal(signal.SIGINT)
        try:
            router.wait(10)
        except subprocess.TimeoutExpired:
            router.kill()
            router.wait()


def healthy(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/health", trust_env=False, timeout=10).status_code == 200
    return False


@pytest.mark.engine
def test_an_answer_comes_through_the_router_whole_and_in_pieces(sglang: Server, tmp_path: Path) -> None:
    with routing(sglang, tmp_path / "router.log") as url:
        wait_for(lambda: healthy(url), "the router to find its worker")
        with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
            messages: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
            ask: dict[str, Any] = {"messages": messages, "max_tokens": 20, "temperature": 0}
            text = client.chat.completions.create(model=NAME, **ask).choices[0].message.content
            assert "Paris" in text
            stream = client.chat.completions.create(model=NAME, stream=True, **ask)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == text
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="nope", **ask)


@pytest.mark.stack
def test_the_router_sees_an_engine_die_and_come_back(tmp_path: Path) -> None:
    env = {"STANDIN_LOAD_SECONDS": "3", "VLLM_SHIM_ENGINE_RESTART": "in-place"}
    with serving(tmp_path, "org/model", env=env) as server:
        server.wait_ready()
        with routing(server, tmp_path / "router.log") as url:
            wait_for(lambda: healthy(url), "the router to find its worker")
            os.kill(next(pid for pid, line in server.processes().items() if "sglang.py" in line), signal.SIGKILL)
            wait_for(lambda: not healthy(url), "the router to see it die")
            wait_for(lambda: healthy(url), "the router to see it come back")


SHOWN = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "gpu_cache_usage_perc")


@pytest.mark.engine
def test_the_router_shows_our_series_as_its_own(sglang: Server, tmp_path: Path) -> None:
    """With the static workers that it has here its /metrics is a worker's, asked for when it is asked (0.1.17)."""
    with routing(sglang, tmp_path / "router.log") as url:
        wait_for(lambda: healthy(url), "the router to find its worker")

        def shown(series: str) -> float | None:
            answer = httpx.get(f"{url}/metrics", trust_env=False, timeout=10)
            assert answer.headers["content-type"].startswith("text/plain")
            lines = [line for line in answer.text.splitlines() if line.startswith(f"vllm:{series}{{")]
            assert all(f'model_name="{NAME}"' in line for line in lines), lines
            return sum(float(line.rpartition(" ")[2]) for line in lines) if lines else None

        wait_for(lambda: all(shown(series) is not None for series in SHOWN), f"{SHOWN} in the router's /metrics")
        before = shown("generation_tokens_total") or 0.0
        with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
            messages: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
            usage = client.chat.completions.create(model=NAME, messages=messages, max_tokens=8).usage
        assert usage is not None
        generated = before + usage.completion_tokens
        wait_for(lambda: (shown("generation_tokens_total") or 0.0) >= generated, "the tokens to be counted")
