"""An adapter each step, as prime-rl has it: one name for all of them, which may be the model's own."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from middleware.endpoints import adapters as endpoint
from middleware.phases import lost_file
from middleware.policy import Policy
from tests.middleware.adapter_folders import MODULES, write_adapter
from tests.middleware.endpoints.lora import Lora
from tests.middleware.endpoints.sglang import NAME, Sglang, behind
from tests.middleware.serving import PATIENCE, Served, wait_for
from tests.middleware.weights.folders import write_weights

RL = Policy(rl=True, max_loras=4)
OK = (200, {"status": "ok"})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "SETTLE_SECONDS", 0.0)


def load(front: Served, name: str, path: str) -> tuple[int, Any]:
    answer = front.post("/load_lora_adapter", json={"lora_name": name, "lora_path": path})
    return answer.status_code, answer.json()


def used(front: Served, name: str = NAME, prompt: str = "short") -> str:
    """The path of the adapter that the request ran on."""
    body = {"model": name, "prompt": prompt}
    answer = httpx.post(f"{front.url}/v1/completions", json=body, timeout=PATIENCE, trust_env=False)
    text: str = answer.json()["choices"][0]["text"]
    return text


def test_the_same_name_step_after_step_and_the_old_ones_go() -> None:
    engine = Lora()
    with behind(engine, policy=RL) as front:
        for step in range(5):
            assert load(front, "policy", f"/adapters/step_{step}") == OK
            assert used(front, "policy") == f"/adapters/step_{step}"
        wait_for(lambda: list(engine.paths.values()) == ["/adapters/step_4"], "the others are unloaded")


def test_a_load_waits_for_nobody_who_runs_on_the_one_before() -> None:
    engine = Lora()
    with behind(engine, policy=RL) as front:
        assert load(front, "policy", "/adapters/step_1") == OK
        ended: list[str] = []
        thread = threading.Thread(target=lambda: ended.append(used(front, "policy", "long")))
        thread.start()
        wait_for(lambda: any(engine.running.values()), "it runs")
        assert load(front, "policy", "/adapters/step_2") == OK
        assert used(front, "policy") == "/adapters/step_2"
        assert len(engine.paths) == 2
        engine.release()
        thread.join(PATIENCE)
        assert ended == ["/adapters/step_1"]
        wait_for(lambda: list(engine.paths.values()) == ["/adapters/step_2"], "it is unloaded with its last request")


def test_named_as_the_model_it_is_what_the_models_requests_run_on() -> None:
    with behind(Lora(), policy=RL) as front:
        plain = used(front)
        assert load(front, NAME, "/adapters/step_1") == OK
        assert used(front) == "/adapters/step_1" != plain
        assert [card["id"] for card in front.get("/v1/models").json()["data"]] == [NAME]


def test_a_folder_with_an_adapter_is_one_for_update_weights_too(tmp_path: Path) -> None:
    write_adapter(tmp_path / "step_1", MODULES)
    with behind(Lora(), policy=RL) as front:
        answer = front.post("/update_weights", json={"weight_dir": str(tmp_path / "step_1")})
        assert (answer.status_code, answer.json()) == OK
        assert used(front) == str(tmp_path / "step_1")


def test_all_of_the_models_weights_take_its_name_back(tmp_path: Path) -> None:
    engine = Lora()
    engine.answers["/update_weights_from_disk"] = {"success": True, "message": ""}
    engine.answers |= {path: {} for path in ("/pause_generation", "/continue_generation")}
    write_weights(tmp_path / "step_1")
    with behind(engine, policy=RL) as front:
        plain = used(front)
        assert load(front, NAME, "/adapters/step_1") == OK
        answer = front.post("/update_weights", json={"weight_dir": str(tmp_path / "step_1")})
        assert (answer.status_code, answer.json()) == OK
        assert used(front) == plain


def test_an_engine_that_is_started_again_does_not_answer_for_the_adapter_with_the_models_weights(
    tmp_path: Path,
) -> None:
    engine = Lora()
    body = {"model": NAME, "prompt": "short"}
    lost = lost_file(tmp_path / "ready")
    with behind(engine, policy=RL, ready_file=tmp_path / "ready") as front:
        assert load(front, NAME, "/adapters/step_1") == OK
        lost.write_text("it has ended")
        wait_for(lambda: front.get("/health").status_code == 503, "it is gone")
        engine.paths.clear()
        engine.cards = []
        lost.unlink()
        wait_for(lambda: front.get("/health").status_code == 200, "the next one is there")
        refused = front.post("/v1/completions", json=body)
        assert refused.status_code == 503
        assert "has lost the adapter that answered under the model's name" in refused.text
        assert load(front, NAME, "/adapters/step_2") == OK
        assert used(front) == "/adapters/step_2"


def test_who_asks_again_before_it_is_loaded_gets_the_one_load() -> None:
    """prime-rl waits for 30 s, and asks ten times."""
    engine = Lora()
    engine.slow.add("/adapters/step_1")
    body = json.dumps({"lora_name": "policy", "lora_path": "/adapters/step_1"})
    with behind(engine, policy=RL) as front:
        asking = [http.client.HTTPConnection("127.0.0.1", front.port, timeout=PATIENCE) for _ in "abc"]
        for one in asking:
            one.request("POST", "/load_lora_adapter", body, {"content-type": "application/json"})
        wait_for(lambda: engine.of("/load_lora_adapter"), "the first is on its way")
        asking.pop(0).close()
        for _ in range(10):  # by then the others were read
            assert front.get("/health").status_code == 200
        engine.release()
        assert [one.getresponse().status for one in asking] == [200, 200]
        for one in asking:
            one.close()
    assert len(engine.of("/load_lora_adapter")) == 1


def test_a_path_that_no_file_can_have_is_a_sentence() -> None:
    with behind(Lora(), policy=RL) as front:
        answer = front.post("/update_weights", json={"weight_dir": "/data/" + "x" * 5000})
        assert answer.status_code == 500
        assert "The weights were not updated" in answer.json()["error"]["message"]


def test_what_passes_is_500_which_is_tried_again_and_what_is_not_there_yet_404() -> None:
    engine = Lora(limit=1)
    with behind(engine, policy=RL) as front:
        assert load(front, "policy", "/adapters/step_1") == OK
        thread = threading.Thread(target=lambda: used(front, "policy", "long"))
        thread.start()
        wait_for(lambda: any(engine.running.values()), "it runs")
        assert load(front, "policy", "/adapters/step_2")[0] == 500, "no room"
        engine.release()
        thread.join(PATIENCE)
    missing = (400, {"success": False, "error_message": "Repo id must be in the form", "loaded_adapters": None})
    with behind(Sglang(answers={"/load_lora_adapter": missing, "/unload_lora_adapter": missing}), policy=RL) as front:
        assert load(front, "policy", "/adapters/step_9")[0] == 404
