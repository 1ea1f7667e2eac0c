"""Weights that a trainer replaces: what SGLang is told, what stays as it was, and in what words it is refused."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import NAME, Sglang, behind
from tests.middleware.endpoints.training import RL, Stream, orders, trained
from tests.middleware.serving import PATIENCE, Served, middleware, stand_in, wait_for
from tests.middleware.weights.folders import write_weights

LOAD = "/update_weights_from_disk"
OK = (200, {"status": "ok"})


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Served, Served]]:
    with trained() as both:
        yield both


@pytest.fixture
def step(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "step_1")


def update(front: Served, **body: Any) -> tuple[int, Any]:
    answer = front.post("/update_weights", json=body)
    return answer.status_code, answer.json()


def message(answer: tuple[int, Any]) -> str:
    words: str = answer[1]["error"]["message"]
    return words


def test_a_step_between_pause_and_resume_loses_no_stream_and_no_name(pair: tuple[Served, Served], step: Path) -> None:
    engine, front = pair
    running = Stream(front).begun()
    assert front.post("/pause?mode=keep&clear_cache=false").status_code == 200
    assert update(front, weight_dir=str(step)) == OK
    assert front.get("/is_paused").json() == {"is_paused": True}
    assert front.post("/resume").status_code == 200
    assert running.end() == "stop"
    last = orders(engine)[-3:]
    assert last == ["/pause_generation", LOAD, "/continue_generation"]
    assert orders(engine, LOAD)[-1] == {
        "model_path": str(step),
        "flush_cache": False,
        "abort_all_requests": False,
        "weight_version": "step_1",
        "torch_empty_cache": True,
    }
    assert engine.get("/v1/models").json()["data"][0]["id"] == str(step), "SGLang has renamed it"
    assert [card["id"] for card in front.get("/v1/models").json()["data"]] == [NAME]
    assert front.get("/weight_info").json() == {"weight_version": "step_1"}


def test_without_a_pause_what_runs_stands_still_for_the_time_of_the_load(
    pair: tuple[Served, Served], step: Path
) -> None:
    engine, front = pair
    running = Stream(front).begun()
    assert update(front, weight_dir=str(step)) == OK
    assert running.runs
    assert front.get("/is_paused").json() == {"is_paused": False}
    assert orders(engine)[-3:] == ["/pause_generation", LOAD, "/continue_generation"]
    assert running.end() == "stop"


def test_health_is_200_at_once_during_a_load_and_a_client_that_has_left_changes_nothing(step: Path) -> None:
    with trained(STANDIN_UPDATE_SECONDS="3") as (engine, front):
        body = f'{{"weight_dir": "{step}"}}'.encode()
        with socket.create_connection(("127.0.0.1", front.port)) as client:
            head = f"POST /update_weights HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n"
            client.sendall(f"{head}content-type: application/json\r\n\r\n".encode() + body)
            wait_for(lambda: LOAD in orders(engine), "SGLang loads")
        assert front.get("/health").status_code == 200
        assert front.get("/liveness").json() == {"status": "ok"}
        # The client has lost its answer: it asks again, and gets that of the load that goes on.
        assert update(front, weight_dir=str(step)) == OK
        assert orders(engine, LOAD) == orders(engine, LOAD)[:1]
        assert update(front, weight_dir=str(step)) == OK, "and once more, from the beginning"
        assert len(orders(engine, LOAD)) == 2


def test_two_updates_at_a_time_come_one_after_the_other(tmp_path: Path) -> None:
    places = [write_weights(tmp_path / name) for name in ("step_1", "step_2")]
    running, most = [0], [0]

    async def loading(body: Any) -> Any:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0.2)
        running[0] -= 1
        return {"success": True, "message": "", "num_paused_requests": 0}

    engine = Sglang(answers={LOAD: loading, "/pause_generation": {}, "/continue_generation": {}})
    with behind(engine, policy=RL) as front:
        got: list[tuple[int, Any]] = []
        threads = [
            threading.Thread(target=lambda place=place: got.append(update(front, weight_dir=str(place))))
            for place in places
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert got == [OK, OK]
        assert (most, len(engine.of(LOAD))) == ([1], 2)
        assert len(engine.of("/continue_generation")) == len(engine.of("/pause_generation"))


def test_a_folder_that_is_not_there_yet_is_tried_again_and_sglang_never_asks_the_hub(
    pair: tuple[Served, Served], tmp_path: Path
) -> None:
    engine, front = pair
    before = orders(engine)
    late = update(front, weight_dir=str(tmp_path / "step_9"))
    assert late[0] == 500
    assert "there is no folder" in message(late)
    hub = update(front, weight_dir="HuggingFaceTB/SmolLM2-135M-Instruct")
    assert hub[0] == 400
    assert "no absolute path" in message(hub)
    assert orders(engine) == before
    write_weights(tmp_path / "step_9")
    assert update(front, weight_dir=str(tmp_path / "step_9")) == OK


def test_weights_of_another_model_are_refused_for_good_before_sglang_has_half_of_them(tmp_path: Path) -> None:
    model = write_weights(tmp_path / "model")
    (model / "config.json").write_text("{}")
    other = write_weights(tmp_path / "other", {"model.norm.weight": [7]})
    with trained(Policy(rl=True, model_path=str(model))) as (engine, front):
        refused = update(front, weight_dir=str(other))
        assert refused[0] == 400
        assert "'model.norm.weight' has the shape [7]" in message(refused)
        assert orders(engine) == []


@pytest.mark.parametrize(
    ("said", "status"),
    [("Failed to get weights iterator: it went away", 500), ("Failed to get model loader: <Other>", 400)],
)
def test_what_sglang_does_not_load_is_told_in_its_words_and_leaves_it_running(
    step: Path, said: str, status: int
) -> None:
    answers = {
        LOAD: (400, {"success": False, "message": said, "num_paused_requests": 0}),
        "/pause_generation": {},
        "/continue_generation": {},
    }
    engine = Sglang(answers=answers)
    with behind(engine, policy=RL) as front:
        refused = update(front, weight_dir=str(step))
        assert (refused[0], said in message(refused)) == (status, True)
        assert len(engine.of("/continue_generation")) == 1
        assert front.get("/ready").status_code == 200


def test_an_engine_that_dies_in_the_middle_is_a_passing_fault(step: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("middleware.weights.pause.BACK_SECONDS", 0.2)
    with trained(STANDIN_UPDATE_SECONDS="30") as (engine, front):
        got: list[tuple[int, Any]] = []
        thread = threading.Thread(target=lambda: got.append(update(front, weight_dir=str(step))))
        thread.start()
        wait_for(lambda: LOAD in orders(engine), "SGLang loads")
        engine.crash()
        thread.join(PATIENCE)
        assert got[0][0] == 502
        wait_for(lambda: front.get("/health").status_code == 503, "its death is seen")
        assert update(front, weight_dir=str(step))[0] == 503


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"weight_dir": None}, 400, 'weight_broadcast.type="filesystem"'),
        ({"update_info": {"names": []}}, 400, '{"weight_dir": "/the/folder"}'),
        ({"weight_dir": "/a", "update_info": {}}, 400, "not both"),
        ({}, 400, "body.update_info"),
        ({"weight_dir": 5}, 400, "body.weight_dir"),
    ],
)
def test_the_two_bodies_are_told_apart(
    pair: tuple[Served, Served], body: dict[str, Any], status: int, words: str
) -> None:
    answer = update(pair[1], **body)
    assert answer[0] == status
    assert words in message(answer)


def test_a_broadcast_is_refused_loudly_and_the_update_behind_it_says_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with trained() as (engine, front):
        assert "was refused" not in message(update(front, weight_dir=None))
        refused = front.post("/init_broadcaster", json={"host": "h", "port": 1, "timeout": 1})
        assert refused.status_code == 501
        assert any(record.levelname == "ERROR" and "/init_broadcaster" in record.message for record in caplog.records)
        behind_it = update(front, weight_dir=None)
        assert behind_it[0] == 400
        assert "/init_broadcaster was refused before" in message(behind_it)
        for path in ("/init_weight_transfer_engine", "/start_weight_update", "/finish_weight_update"):
            answer = front.post(path, json={"init_info": {}})
            assert answer.status_code == 501
            assert "TRL" in answer.json()["error"]["message"]
        assert front.get("/health").status_code == 200
        assert orders(engine) == []


def test_trl_finds_no_weight_transfer_and_stops_before_it_waits_for_nccl(pair: tuple[Served, Served]) -> None:
    told = pair[1].get("/server_info?config_format=json").json()["vllm_config"]
    assert told["weight_transfer_config"] is None
    assert "tensor_parallel_size" in told["parallel_config"]


def test_the_weights_of_the_start_come_back(tmp_path: Path) -> None:
    model = write_weights(tmp_path / "model")
    with trained(Policy(rl=True, model_path=str(model))) as (engine, front):
        assert front.post("/reload_weights").json() == {"status": "ok"}
        told = orders(engine, LOAD)[-1]
        assert (told["model_path"], told["weight_version"]) == (str(model), "default")


def test_the_version_is_what_was_said_last(pair: tuple[Served, Served]) -> None:
    front = pair[1]
    told = front.post("/update_weight_version", json={"new_version": "v9"}).json()
    assert told == {"success": True, "new_version": "v9"}
    assert front.get("/weight_info").json() == {"weight_version": "v9"}
    assert front.post("/update_weight_version", json={}).status_code == 400


def test_a_middleware_that_comes_back_after_an_update_knows_the_model_by_its_name_and_folder(
    tmp_path: Path, step: Path
) -> None:
    with stand_in("--served-model-name", NAME) as engine:
        engine.post(LOAD, json={"model_path": str(step)})
        with middleware(engine.port, policy=RL, served_model_names=(NAME,)) as front:
            assert [card["id"] for card in front.get("/v1/models").json()["data"]] == [NAME]


def test_sums_have_vllms_names() -> None:
    rank = {
        "checksums": {"a": "1", "b": "2"},
        "per_gpu_checksum": "x",
        "parallelism_info": [{"role": "target", "tp_rank": 1, "dp_rank": 0, "pp_rank": 0}],
    }
    checked = {"success": True, "message": "Success.", "ranks": [rank]}
    engine = Sglang(answers={"/weights_checker": checked})
    sums = {"dp0:pp0:pcp0:tp1:a": "1", "dp0:pp0:pcp0:tp1:b": "2"}
    with behind(engine, policy=RL) as front:

        def check(**body: Any) -> Any:
            return front.post("/weight_checker", json=body).json()

        assert check(action="checksum") == {"checksums": sums}
        assert check(action="compare", baseline=sums) == {"match": True, "mismatches": []}
        other = {**sums, "dp0:pp0:pcp0:tp1:b": "3"}
        assert check(action="compare", baseline=other)["mismatches"] == ["dp0:pp0:pcp0:tp1:b"]
        assert check(action="reset") == {"status": "reset"}
        assert engine.of("/weights_checker")[-1] == {"action": "reset_tensors"}
        assert check(action="compare")["error"]["code"] == check()["error"]["code"] == 400
