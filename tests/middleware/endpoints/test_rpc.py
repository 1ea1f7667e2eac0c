"""vLLM's orders to its workers, of which SGLang has two, and whether the engine answers at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from middleware.endpoints import rpc
from middleware.policy import Policy
from tests.middleware.endpoints.sglang import Sglang, behind
from tests.middleware.endpoints.training import RL, orders, trained
from tests.middleware.serving import wait_for
from tests.middleware.weights.folders import write_weights

LOAD = "/update_weights_from_disk"
WORLD = {"tp_size": 2, "pp_size": 1, "dp_size": 1}


def test_reload_weights_loads_those_of_the_start_or_those_that_it_names(tmp_path: Path) -> None:
    model, other = (write_weights(tmp_path / name) for name in ("model", "other"))
    with trained(Policy(rl=True, model_path=str(model))) as (engine, front):
        assert front.post("/collective_rpc", json={"method": "reload_weights"}).json() == {"results": [None]}
        named = {"method": "reload_weights", "kwargs": {"weights_path": str(other)}}
        assert front.post("/collective_rpc", json=named).status_code == 200
        assert [told["model_path"] for told in orders(engine, LOAD)] == [str(model), str(other)]
        for wrong in ({"args": ["x"]}, {"kwargs": {"a": 1}}, {"kwargs": {"weights_path": 5}}, {"kwargs": "x"}):
            assert front.post("/collective_rpc", json={"method": "reload_weights", **wrong}).status_code == 400


def test_each_worker_says_that_it_is_well() -> None:
    with behind(Sglang(answers={"/server_info": WORLD}), policy=RL) as front:
        assert front.post("/collective_rpc", json={"method": "check_health"}).json() == {"results": [None, None]}


def test_what_sglang_has_no_word_for_is_refused_with_what_it_has() -> None:
    with behind(Sglang(), policy=RL) as front:
        answer = front.post("/collective_rpc", json={"method": "sleep"})
        assert answer.status_code == 501
        assert "check_health and reload_weights" in answer.json()["error"]["message"]
        missing = front.post("/collective_rpc", json={})
        assert (missing.status_code, missing.json()["error"]["message"]) == (400, "Missing 'method' in request body")


def test_liveness_is_what_the_scheduler_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "LIVENESS_SECONDS", 0.3)
    engine = Sglang(answers={"/server_info": WORLD})
    with behind(engine, policy=RL) as front:
        assert (front.get("/liveness").status_code, front.get("/liveness").json()) == (200, {"status": "ok"})
        engine.answers["/server_info"] = hanging
        silent = front.get("/liveness")
        assert (silent.status_code, silent.json()) == (503, {"status": "engine_unresponsive"})


async def hanging(_: object) -> object:
    await asyncio.sleep(2)
    return WORLD


def test_a_paused_engine_is_alive_without_being_asked_and_a_dead_one_is_not() -> None:
    with trained() as (engine, front):
        assert front.post("/pause").status_code == 200
        assert front.get("/liveness").status_code == 200
        engine.crash()
        wait_for(lambda: front.get("/health").status_code == 503, "its death is seen")
        assert front.get("/liveness").json() == {"status": "engine_unresponsive"}
