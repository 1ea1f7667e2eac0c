"""Pause and resume: what becomes of requests in each of vLLM's modes; and nobody takes a paused engine for dead."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import httpx
import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import Sglang, behind
from tests.middleware.endpoints.training import CHAT, NAME, RL, Stream, orders, trained
from tests.middleware.serving import PATIENCE, STAND_IN, Served, middleware, process, stand_in, wait_for


def pause(front: Served, query: str = "") -> tuple[int, object]:
    answer = front.post(f"/pause{query}", timeout=PATIENCE)
    return answer.status_code, answer.json()


def is_paused(front: Served) -> bool:
    told: bool = front.get("/is_paused").json()["is_paused"]
    return told


def chat(front: Served) -> httpx.Response:
    return httpx.post(f"{front.url}/v1/chat/completions", json=CHAT, timeout=PATIENCE, trust_env=False)


QUIET = {"STANDIN_CHILDREN": "0", "STANDIN_QUIET": "1"}
PAUSED = (200, {"status": "paused"})


def test_kept_requests_stand_still_and_new_ones_wait_until_it_is_resumed() -> None:
    with trained() as (engine, front):
        running = Stream(front).begun()
        assert pause(front, "?mode=keep&clear_cache=false") == PAUSED
        assert is_paused(front)
        assert (front.get("/health").status_code, front.get("/ready").status_code) == (200, 503)
        fresh = Stream(front, tokens=3)
        wait_for(lambda: engine.stats()["active"] >= 3, "the new one is with SGLang")  # those two, and this question
        assert running.runs
        assert fresh.runs
        assert front.post("/resume").json() == {"status": "resumed"}
        assert running.end() == "stop"
        assert len(running.lines) > 60
        fresh.end()
        assert not is_paused(front)
        assert front.get("/ready").status_code == 200
        assert orders(engine, "/pause_generation") == [{"mode": "in_place"}]


def test_a_cache_that_is_not_cleared_is_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after would go on from keys and values of the weights before."""
    monkeypatch.setattr("middleware.weights.pause.FLUSHES", 2)
    engine = Sglang(answers={"/flush_cache": (400, {"success": False})})
    engine.answers |= {path: {} for path in ("/pause_generation", "/continue_generation", "/abort_request")}
    engine.answers["/v1/loads"] = {"loads": []}
    with behind(engine, policy=RL) as front:
        for mode in ("abort", "wait"):
            status, told = pause(front, f"?mode={mode}")
            assert status == 503
            assert "did not clear its cache" in str(told)
            assert not is_paused(front)


def test_by_default_what_runs_is_aborted_and_new_requests_are_503_until_it_is_resumed() -> None:
    with trained() as (_, front):
        running = Stream(front, tokens=2000).begun()
        assert pause(front) == PAUSED
        assert running.end() == "abort"
        refused = chat(front)
        assert refused.status_code == 503
        assert refused.json()["error"]["message"] == "Generation is paused. Please retry after it resumes."
        assert front.get("/health").status_code == 200
        assert front.get("/v1/models").json()["data"][0]["id"] == NAME
        assert front.post("/resume").status_code == 200
        assert chat(front).status_code == 200


def test_waiting_lets_what_runs_end_and_takes_nothing_new() -> None:
    with trained() as (engine, front):
        running = Stream(front, tokens=40).begun()
        waiting: list[object] = []
        thread = threading.Thread(target=lambda: waiting.append(pause(front, "?mode=wait")))
        thread.start()
        wait_for(lambda: chat(front).status_code == 503, "nothing new is let in")
        assert is_paused(front)
        assert running.end() == "stop"
        thread.join(PATIENCE)
        assert waiting == [PAUSED]
        assert orders(engine)[-1] == "/pause_generation"
        assert front.post("/resume").status_code == 200
        assert chat(front).status_code == 200


def test_whoever_resumes_ends_the_wait_of_who_waits() -> None:
    with trained() as (_, front):
        running = Stream(front, tokens=5000).begun()
        waiting: list[int] = []
        thread = threading.Thread(target=lambda: waiting.append(pause(front, "?mode=wait")[0]))
        thread.start()
        wait_for(lambda: is_paused(front), "it waits")
        assert front.post("/resume").status_code == 200
        thread.join(PATIENCE)
        assert waiting == [409]
        assert pause(front) == PAUSED
        running.end()


def test_both_are_idempotent_and_the_last_mode_holds() -> None:
    with trained() as (engine, front):
        assert front.post("/resume").json() == {"status": "resumed"}
        running = Stream(front, tokens=2000).begun()
        assert [pause(front, f"?mode={mode}") for mode in ("keep", "keep")] == [PAUSED] * 2
        assert orders(engine, "/pause_generation") == [{"mode": "in_place"}]
        # SGLang 0.5.23 would never end an aborting pause of requests that stand still, nor ever go on.
        assert pause(front, "?mode=abort") == PAUSED
        running.end()
        assert chat(front).status_code == 503
        assert pause(front, "?mode=keep") == PAUSED
        waiting = Stream(front, tokens=2)
        assert [front.post("/resume").status_code for _ in range(2)] == [200, 200]
        waiting.end()


def test_a_mode_that_is_none_is_refused_as_vllm_does() -> None:
    with trained() as (engine, front):
        status, body = pause(front, "?mode=freeze")
        assert status == 400
        assert "wait" in str(body)
        assert orders(engine) == []


def test_a_pause_that_fails_is_taken_back() -> None:
    orders: list[str] = []

    def pausing(_: object) -> object:
        orders.append("pause")
        return (500, {"detail": "no"})

    engine = Sglang(answers={"/pause_generation": pausing, "/continue_generation": {}, "/v1/loads": {"loads": []}})
    engine.answers["/flush_cache"] = {}
    with behind(engine, policy=RL) as front:
        for mode in ("keep", "abort", "wait"):
            assert pause(front, f"?mode={mode}")[0] == 502
            assert not is_paused(front)
            assert front.get("/ready").status_code == 200
        assert len(orders) == len(engine.of("/continue_generation")) == 3


@pytest.mark.parametrize(("mode", "status"), [("keep", 200), ("abort", 503)])
def test_a_middleware_that_is_restarted_finds_the_pause_and_its_mode(tmp_path: Path, mode: str, status: int) -> None:
    ready = tmp_path / "ready"
    with stand_in("--served-model-name", NAME) as engine:
        with middleware(engine.port, policy=RL, ready_file=ready) as front:
            assert pause(front, f"?mode={mode}") == PAUSED
        with middleware(engine.port, policy=RL, ready_file=ready) as front:
            wait_for(lambda: is_paused(front), "it is found")
            assert front.get("/health").status_code == 200
            if status == 503:
                assert chat(front).status_code == 503
            else:
                waiting = Stream(front, tokens=2)
                assert waiting.runs
            assert front.post("/resume").status_code == 200
            assert chat(front).status_code == 200
        assert not (tmp_path / "ready.paused").exists()


def test_an_engine_that_is_restarted_is_not_paused(tmp_path: Path) -> None:
    with stand_in("--served-model-name", NAME) as engine:
        port = engine.port
        with middleware(port, policy=RL) as front:
            assert pause(front) == PAUSED
            engine.crash()
            wait_for(lambda: front.get("/health").status_code == 503, "it is gone")
            with process(sys.executable, str(STAND_IN), "--port", str(port), "--served-model-name", NAME, env=QUIET):
                wait_for(lambda: front.get("/ready").status_code == 200, "the next one is ready")
                assert not is_paused(front)
                assert chat(front).status_code == 200


@pytest.mark.parametrize(("policy", "open_to_all"), [(RL, False), (Policy(dev_mode=True, rl=True), True)])
def test_with_a_key_the_trainers_routes_ask_for_it_unless_it_is_vllms_development_server(
    policy: Policy, open_to_all: bool
) -> None:
    with stand_in() as engine, middleware(engine.port, policy=policy, api_keys=("sk-one",)) as front:
        assert front.get("/is_paused").status_code == (200 if open_to_all else 401)
        assert front.get("/is_paused", headers={"authorization": "Bearer sk-one"}).status_code == 200


def test_without_the_switch_there_is_nothing_of_it() -> None:
    with trained(Policy()) as (engine, front):
        for path in ("/pause", "/resume", "/update_weights", "/init_broadcaster", "/load_lora_adapter"):
            assert (front.post(path).status_code, front.post(path).json()) == (404, {"detail": "Not Found"})
        assert orders(engine) == []
