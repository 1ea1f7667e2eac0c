"""A user's first minutes, on the real engine: what they ask, what they see, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.engine.conftest import KEY, LAUNCH, LOAD_SECONDS, MODEL, NAME, running
from tests.server import Server, serving, wait_for

pytestmark = pytest.mark.engine
QUESTION: dict[str, object] = {
    "model": NAME,
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_tokens": 40,
    "temperature": 0,
}


def test_the_capital_of_france(sglang: Server) -> None:
    answer = sglang.client.post("/v1/chat/completions", json=QUESTION)
    assert "Paris" in answer.json()["choices"][0]["message"]["content"]


def test_a_streamed_answer_is_the_same_text_one_token_a_chunk(sglang: Server) -> None:
    whole = sglang.client.post("/v1/chat/completions", json=QUESTION).json()
    with sglang.client.stream("POST", "/v1/chat/completions", json={**QUESTION, "stream": True}) as answer:
        events = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert events.pop() == "[DONE]"
    texts = [json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events]
    assert "".join(texts) == whole["choices"][0]["message"]["content"]
    assert len([text for text in texts if text]) >= whole["usage"]["completion_tokens"] - 1


def test_the_openai_client_chats_streams_and_completes(sglang: Server) -> None:
    ask: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
    how: dict[str, Any] = {"model": NAME, "max_tokens": 40, "temperature": 0}
    with openai.OpenAI(base_url=f"{sglang.url}/v1", api_key=KEY) as client:
        chat = client.chat.completions.create(messages=ask, **how)
        assert "Paris" in chat.choices[0].message.content
        stream = client.chat.completions.create(messages=ask, stream=True, **how)
        assert "Paris" in "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        text = client.completions.create(prompt="The capital of France is", **how)
        assert "Paris" in text.choices[0].text
        assert [model.id for model in client.models.list()] == [NAME]


def test_logprobs_and_template_arguments_are_kept(sglang: Server) -> None:
    body = {**QUESTION, "logprobs": True, "top_logprobs": 2, "chat_template_kwargs": {"enable_thinking": False}}
    answer = sglang.client.post("/v1/chat/completions", json=body).json()
    assert len(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2


def test_vllms_guided_fields_are_enforced(sglang: Server) -> None:
    body = {**QUESTION, "guided_choice": ["red (a)", "blue"]}
    assert sglang.client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"] in (
        "red (a)",
        "blue",
    )
    body = {**QUESTION, "guided_regex": "[0-9]{3}"}
    text = sglang.client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
    assert text.isdecimal()
    assert len(text) == 3


def test_the_command_line_arrived(sglang: Server) -> None:
    card = sglang.client.get("/v1/models").json()["data"][0]
    assert (card["id"], card["max_model_len"]) == (NAME, 2048)
    assert "sglang:" in sglang.client.get("/metrics").text
    assert "GET /health" not in sglang.output, "the health check must not fill the engine's log"


def test_the_phases_of_its_start_are_in_the_log_of_the_middleware(sglang: Server) -> None:
    log = (sglang.run_dir / "log/middleware.log").read_text()
    lines = [line.partition("engine: ")[2] for line in log.splitlines() if "engine: " in line]
    told = " ".join(lines)
    assert "now load" in told, lines
    assert "now warm-up" in told, lines
    assert next(line for line in lines if line.startswith("load took ")).endswith(" s, now warm-up"), lines


def test_the_key_of_the_environment_guards_v1_alone_and_stands_nowhere(sglang: Server) -> None:
    with httpx.Client(base_url=sglang.url, timeout=60, trust_env=False) as stranger:
        assert stranger.post("/v1/chat/completions", json=QUESTION).status_code == 401
        assert stranger.get("/v1/models").status_code == 401
        for path in ("/health", "/metrics", "/version"):
            assert stranger.get(path).status_code == 200, path
        assert stranger.post("/tokenize", json={"model": NAME, "prompt": "Paris"}).status_code == 200
    assert sglang.client.get("/v1/models").status_code == 200
    assert not [command for command in sglang.processes().values() if KEY in command]
    files = [sglang.log, *(path for path in sglang.run_dir.rglob("*") if path.is_file())]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in sglang.output


def test_a_client_that_leaves_frees_the_engine(sglang: Server) -> None:
    body = {**QUESTION, "max_tokens": 1500, "ignore_eos": True, "stream": True}
    with sglang.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()  # kept: httpx closes the answer together with its iterator
        next(lines)
        wait_for(lambda: running(sglang) == 1, "the request to run")
    wait_for(lambda: running(sglang) == 0, "the engine to stop generating")


def test_a_model_that_cannot_be_loaded_ends_the_container_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text('{"architectures": ["NoSuchForCausalLM"], "model_type": "nope"}')
    with serving(tmp_path, str(tmp_path / "model"), engine=LAUNCH) as server:
        assert server.wait_end(LOAD_SECONDS) not in (0, None)
        assert "died before it was ready" in server.output
        assert "nope" in "".join(server.lines[-40:])


def test_killed_and_stopped_on_the_real_engine(tmp_path: Path) -> None:
    """One start for all of it, since the loads take longest: while it loads, a scheduler killed, streams at SIGTERM."""
    with serving(tmp_path, str(MODEL), "--served-model-name", NAME, engine=LAUNCH) as server:
        wait_for(lambda: server.health() == 503, "/health while it loads")
        server.wait_ready(LOAD_SECONDS)
        before = server.processes()
        os.kill(next(pid for pid, command in before.items() if "scheduler" in command), signal.SIGKILL)
        wait_for(lambda: server.health() == 503, "the death of the scheduler to be seen")
        wait_for(lambda: "(phase: load)" in _said(server), "/health to say what the next one does", LOAD_SECONDS)
        server.wait_ready(LOAD_SECONDS)
        assert not set(before) & {pid for pid, command in server.processes().items() if "sglang::" in command}
        tails: list[str] = []
        running = threading.Barrier(5, timeout=120)
        threads = [threading.Thread(target=_stream, args=(server, running, tails)) for _ in range(4)]
        for thread in threads:
            thread.start()
        running.wait()
        assert server.stop() == 0
        for thread in threads:
            thread.join()
        assert tails == ["data: [DONE]"] * 4
        assert server.processes() == {}


def _said(server: Server) -> str:
    answer = server.client.get("/health")
    assert answer.status_code == 503, "it was never seen to load"
    return answer.text


def _stream(server: Server, running: threading.Barrier, tails: list[str]) -> None:
    body = {**QUESTION, "max_tokens": 60, "ignore_eos": True, "stream": True}
    with (
        httpx.Client(base_url=server.url, timeout=120, trust_env=False) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        running.wait()
        tails.append([line for line in lines if line][-1])
