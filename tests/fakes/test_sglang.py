"""The stand-in itself: others build on its starting, failing, loading, draining and dying as it says."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.middleware.serving import PATIENCE, STAND_IN, free_port, process, served, stand_in, status_of, wait_for


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """A zombie is dead: in a container nobody may be there to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_takes_any_flag_and_repeats_them() -> None:
    args = ("--served-model-name", "org/name", "--tp-size", "8", "--json-model-override-args", '{"a": 1}')
    with stand_in(*args, SGLANG_X="1") as engine:
        stats = engine.stats()
        assert stats["argv"][2:] == list(args)
        assert stats["environ"]["SGLANG_X"] == "1"
        assert engine.get("/v1/models").json()["data"][0]["id"] == "org/name"
        assert 'model_name="org/name"' in engine.get("/metrics").text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/generate"])
def test_a_stream_has_as_many_tokens_as_were_asked_for(path: str) -> None:
    with stand_in() as engine:
        for tokens in (1, 5):
            sampling = {"max_new_tokens": tokens} if path == "/generate" else {}
            body = {"stream": True, "max_tokens": tokens, "sampling_params": sampling}
            events = engine.post(path, json=body).text.split("\n\n")
            assert events[-2:] == ["data: [DONE]", ""]
            pieces = [json.loads(event[6:]) for event in events[:-2]]
            if path == "/v1/chat/completions":
                pieces = [piece for piece in pieces if piece["choices"][0]["delta"].get("content")]
            assert len(pieces) == tokens


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("fault", ["", "trickle", "stall=0.1"])
def test_a_mark_is_in_each_token_of_an_answer(fault: str, path: str) -> None:
    with stand_in() as engine:
        headers = {"x-standin-mark": "mine", "x-standin": fault}
        for stream in (False, True):
            text = engine.post(path, json={"stream": stream, "max_tokens": 3}, headers=headers).text
            if stream:
                events = [json.loads(event[6:])["choices"][0] for event in text.split("\n\n")[:-2]]
                texts = [event.get("text", event.get("delta", {}).get("content")) or "" for event in events]
            else:
                choice = json.loads(text)["choices"][0]
                texts = [choice["text"] if "text" in choice else choice["message"]["content"]]
            assert "".join(texts) == "mine:0 mine:1 mine:2 "


@pytest.mark.parametrize(
    "fault", ["garbage", "half-head", "cut-after=2", "close-after=2", "half-after=2", "garbage-after=2"]
)
def test_a_stream_breaks_as_it_is_told(fault: str) -> None:
    with stand_in() as engine, pytest.raises(httpx.TransportError):
        engine.post("/v1/chat/completions", json={"stream": True}, headers={"x-standin": fault})


def test_while_it_loads_it_answers_503_or_refuses() -> None:
    with stand_in(STANDIN_LOAD_SECONDS="600") as engine:
        assert engine.get("/health").status_code == 503
        assert engine.get("/v1/models").status_code == 503
    port = free_port()
    env = {"STANDIN_LOAD_SECONDS": "600", "STANDIN_LOAD_REFUSES": "1"}
    with process(sys.executable, str(STAND_IN), "--port", str(port), env=env) as program:
        wait_for(lambda: children_of(program.pid), "it has started")
        assert status_of(f"http://127.0.0.1:{port}/health") == 0
        program.terminate()
        assert program.wait(PATIENCE) == 0


def test_it_fails_at_its_start_as_it_is_told() -> None:
    with process(sys.executable, str(STAND_IN), env={"STANDIN_EXIT": "3"}) as program:
        output, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 3
    assert "STANDIN_EXIT" in output


def test_sigterm_lets_running_requests_finish() -> None:
    port = free_port()
    command = [sys.executable, str(STAND_IN), "--port", str(port), "--delay-ms", "20"]
    with process(*command) as program, served(port) as engine:
        wait_for(lambda: status_of(f"{engine.url}/health") == 200, "it listens")
        with engine.client.stream("POST", "/generate", json={"stream": True}) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: {")
            program.terminate()
            assert [line for line in lines if line][-1] == "data: [DONE]"
        output, _ = program.communicate(timeout=PATIENCE)
        assert program.returncode == 0
        assert '"POST /generate HTTP/1.1" 200' in output


@pytest.mark.parametrize("victim", ["parent", "child"])
def test_it_and_its_children_die_together(victim: str) -> None:
    port = free_port()
    with process(sys.executable, str(STAND_IN), "--port", str(port)) as program:
        wait_for(lambda: status_of(f"http://127.0.0.1:{port}/health") == 200, "it listens")
        children = children_of(program.pid)
        assert len(children) == 2
        if victim == "parent":
            program.kill()
        else:
            os.kill(children[0], signal.SIGKILL)
        assert program.wait(PATIENCE) != 0
        wait_for(lambda: not any(alive(child) for child in children), "they are gone")


def test_it_crashes_when_asked() -> None:
    with stand_in() as engine:
        with pytest.raises(httpx.RemoteProtocolError):
            engine.get("/_exit?code=7")
        wait_for(lambda: status_of(engine.url) == 0, "nobody listens")
