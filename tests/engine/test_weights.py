"""Weights that are replaced under a real engine: streams live through it, answers become others, names stay."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.engine.conftest import LAUNCH, LOAD_SECONDS, MODEL, NAME
from tests.engine.weights import write_silenced, write_truncated
from tests.middleware.weights.folders import write_weights
from tests.server import PATIENCE, Server, serving, wait_for

pytestmark = pytest.mark.engine
PROMPT = {"model": NAME, "prompt": "The capital of France is", "max_tokens": 8, "temperature": 0}


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("broadcasts")
    write_silenced(folder / "step_1", range(3, 9))
    write_silenced(folder / "step_2", range(12, 18))
    write_truncated(folder / "half")
    write_weights(folder / "wide", {"model.norm.weight": [7]})
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    words = ("--served-model-name", NAME, "--max-model-len", "2048", "--max-num-seqs", "8")
    env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096", "VLLM_SHIM_RL": "1"}
    with serving(tmp_path_factory.mktemp("trained"), str(MODEL), *words, engine=LAUNCH, env=env) as server:
        server.wait_ready(LOAD_SECONDS)
        yield server


@pytest.fixture(autouse=True)
def _as_it_was(trained: Server) -> Iterator[None]:
    yield
    assert post(trained, "/resume").status_code == 200
    assert post(trained, "/reload_weights").status_code == 200


def post(server: Server, path: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", json=body or None, timeout=PATIENCE, trust_env=False)


def update(server: Server, place: Path) -> httpx.Response:
    return post(server, "/update_weights", weight_dir=str(place))


def said(server: Server) -> str:
    answer = post(server, "/v1/completions", **PROMPT).json()
    assert answer["model"] == NAME
    text: str = answer["choices"][0]["text"]
    return text


def get(server: Server, path: str) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", timeout=PATIENCE, trust_env=False)


class Stream:
    def __init__(self, server: Server, tokens: int) -> None:
        self.events: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._run, args=(server.url, tokens))
        self._thread.start()

    def _run(self, url: str, tokens: int) -> None:
        body = {**PROMPT, "max_tokens": tokens, "ignore_eos": True, "stream": True}
        with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=PATIENCE, trust_env=False) as answer:
            self.events += [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]

    def end(self) -> list[str]:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return [reason for event in self.events for one in event["choices"] if (reason := one["finish_reason"])]


def test_a_step_replaces_the_weights_under_streams_that_go_on(trained: Server, steps: Path) -> None:
    before = said(trained)
    stream = Stream(trained, 120)
    time.sleep(1)  # a part of it
    assert post(trained, "/pause?mode=keep&clear_cache=false").json() == {"status": "paused"}
    queued = Stream(trained, 4)
    began = time.monotonic()
    assert update(trained, steps / "step_1").json() == {"status": "ok"}
    while time.monotonic() < began + 3:  # longer than two of haproxy's checks
        assert get(trained, "/health").status_code == 200
        time.sleep(0.1)
    assert get(trained, "/is_paused").json() == {"is_paused": True}
    assert not queued.events
    assert post(trained, "/resume").json() == {"status": "resumed"}
    assert stream.end() == queued.end() == ["length"]
    assert said(trained) != before
    assert [card["id"] for card in get(trained, "/v1/models").json()["data"]] == [NAME]
    assert get(trained, "/weight_info").json() == {"weight_version": "step_1"}
    messages = {"model": NAME, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    assert post(trained, "/v1/chat/completions", **messages).json()["model"] == NAME
    assert post(trained, "/tokenize", model=NAME, prompt="Hi").json()["count"] == 1


def test_without_a_pause_it_stands_still_for_the_load_alone(trained: Server, steps: Path) -> None:
    before = said(trained)
    stream = Stream(trained, 60)
    time.sleep(1)
    assert update(trained, steps / "step_2").json() == {"status": "ok"}
    assert stream.end() == ["length"]
    changed = said(trained)
    assert changed != before
    assert post(trained, "/reset_prefix_cache").json() == {"success": True}
    assert post(trained, "/reload_weights").json() == {"status": "ok"}
    assert post(trained, "/reset_prefix_cache").json() == {"success": True}
    assert said(trained) == before


def test_what_would_end_or_spoil_the_engine_never_reaches_it(trained: Server, steps: Path) -> None:
    before = said(trained)
    got = {name: update(trained, steps / name) for name in ("half", "wide", "step_9")}
    assert {name: answer.status_code for name, answer in got.items()} == {"half": 500, "wide": 400, "step_9": 500}
    assert "is not whole" in got["half"].json()["error"]["message"]
    assert said(trained) == before


def test_an_aborting_pause_of_requests_that_stand_still_ends_them(trained: Server) -> None:
    stream = Stream(trained, 1000)
    time.sleep(1)
    assert post(trained, "/pause?mode=keep").status_code == 200
    assert post(trained, "/pause?mode=abort").json() == {"status": "paused"}
    assert stream.end() == ["abort"]
    assert post(trained, "/v1/completions", **PROMPT).status_code == 503
    assert post(trained, "/resume").status_code == 200
    assert said(trained)


def test_a_wait_takes_as_long_as_what_runs(trained: Server) -> None:
    stream = Stream(trained, 40)
    time.sleep(1)
    assert post(trained, "/pause?mode=wait").json() == {"status": "paused"}
    assert stream.end() == ["length"]
    assert post(trained, "/v1/completions", **PROMPT).status_code == 503


def test_the_middleware_may_be_restarted_in_the_middle_of_a_pause(trained: Server) -> None:
    stream = Stream(trained, 4)
    assert stream.end() == ["length"]
    assert post(trained, "/pause?mode=keep").status_code == 200
    trained.supervisorctl("restart", "middleware")
    wait_for(lambda: get(trained, "/health").status_code == 200, "it is back", PATIENCE)
    # haproxy may still tell of the one before.
    wait_for(lambda: get(trained, "/is_paused").json() == {"is_paused": True}, "the pause is found", PATIENCE)
    assert post(trained, "/resume").status_code == 200
    assert said(trained)


def test_sums_tell_weights_apart(trained: Server, steps: Path) -> None:
    sums = post(trained, "/weight_checker", action="checksum").json()["checksums"]
    assert any(name.startswith("dp0:pp0:pcp0:tp0:model.") for name in sums)
    assert post(trained, "/weight_checker", action="compare", baseline=sums).json()["match"]
    assert update(trained, steps / "step_1").status_code == 200
    assert not post(trained, "/weight_checker", action="compare", baseline=sums).json()["match"]
