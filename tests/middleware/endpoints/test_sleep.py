"""/sleep, /wake_up, /is_sleeping and /release_kv_cache_memory against a stand-in that obeys SGLang's deadly rules."""

from __future__ import annotations

import contextlib
import re
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from middleware.device_memory import DeviceMemory
from middleware.policy import Policy
from tests.middleware.serving import STAND_IN, Served, middleware, process, stand_in, wait_for

BODY = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}


def chat(front: Served, **more: Any) -> int:
    return front.post("/v1/chat/completions", json=BODY | more).status_code


@contextlib.contextmanager
def sleeper(folder: Path, *, backup: bool = True, enabled: bool = True, **env: str) -> Iterator[tuple[Served, Served]]:
    """The stand-in on a device whose driver tells, and the middleware before it."""
    node = folder / "drm/renderD128/device"
    node.mkdir(parents=True)
    (node / "mem_info_vram_used").symlink_to(folder / "used")
    policy = Policy(dev_mode=True, rl=True, sleep_mode=enabled, weights_backup=backup, model_path=str(folder))
    memory = DeviceMemory(drm=folder / "drm", nodes=folder / "drm")
    with (
        stand_in("--served-model-name", "m", STANDIN_DEVICE=str(folder), **env) as engine,
        middleware(engine.port, memory=memory, policy=policy, served_model_names=("m",)) as front,
    ):
        yield front, engine


@pytest.mark.parametrize("level", [1, 2])
def test_asleep_it_refuses_requests_and_is_healthy_until_it_is_woken(
    tmp_path: Path, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "middleware.sleeping"), sleeper(tmp_path) as (front, engine):
        answer = front.post(f"/sleep?level={level}")
        assert (answer.status_code, answer.json()) == (200, {"status": "sleeping", "level": level})
        assert (tmp_path / "used").read_text() == "0"
        assert front.get("/is_sleeping").json() == {"is_sleeping": True}
        refused = front.post("/v1/chat/completions", json=BODY)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert "asleep" in refused.json()["error"]["message"]
        assert front.get("/health").status_code == 200
        woken = front.post("/wake_up")
        assert (woken.status_code, woken.json()) == (200, {"status": "awake", "tags": None})
        assert front.get("/is_sleeping").json() == {"is_sleeping": False}
        assert chat(front) == 200
        assert engine.process is not None
        assert engine.process.poll() is None
    took = re.findall(r"(SGLang .*), which took [\d.]+ s", caplog.text)
    assert took == [f"SGLang sleeps (level {level})", "SGLang is awake"]


def test_a_second_sleep_and_a_second_wake_are_harmless(tmp_path: Path) -> None:
    with sleeper(tmp_path) as (front, engine):
        assert [front.post("/sleep").status_code for _ in range(2)] == [200, 200]
        assert [front.post("/wake_up").status_code for _ in range(2)] == [200, 200]
        assert [front.post("/wake_up?tags=weights").json()["status"]] == ["awake"]
        assert chat(front) == 200
        orders = [path for path, _ in engine.stats()["orders"]]
        assert orders.count("/continue_generation") == 1


def test_it_wakes_by_tags_and_serves_with_the_last(tmp_path: Path) -> None:
    with sleeper(tmp_path) as (front, _):
        front.post("/sleep")
        assert front.post("/wake_up?tags=weights").json() == {"status": "sleeping", "tags": ["weights"]}
        assert chat(front) == 503
        assert front.post("/wake_up?tags=weights").json()["status"] == "sleeping"
        assert front.post("/wake_up?tags=kv_cache").json() == {"status": "awake", "tags": ["kv_cache"]}
        assert chat(front) == 200


def test_what_runs_is_aborted_first(tmp_path: Path) -> None:
    with sleeper(tmp_path) as (front, engine):
        asked: list[str] = []
        slow = {"x-standin-delay-ms": "200"}

        def ask() -> None:
            answer = front.post("/v1/chat/completions", json=BODY | {"max_tokens": 200}, headers=slow)
            asked.append(answer.json()["choices"][0]["finish_reason"])

        asking = threading.Thread(target=ask)
        asking.start()
        wait_for(lambda: engine.stats()["generating"] == 1, "it runs")
        assert front.post("/sleep?level=1&mode=abort").status_code == 200
        asking.join()
        assert front.post("/wake_up").status_code == 200
        assert chat(front) == 200
        assert asked == ["abort"]


def test_what_runs_is_waited_for(tmp_path: Path) -> None:
    with sleeper(tmp_path) as (front, engine):
        asked: list[str] = []
        slow = {"x-standin-delay-ms": "20"}

        def ask() -> None:
            answer = front.post("/v1/chat/completions", json=BODY | {"max_tokens": 40}, headers=slow)
            asked.append(answer.json()["choices"][0]["finish_reason"])

        asking = threading.Thread(target=ask)
        asking.start()
        wait_for(lambda: engine.stats()["generating"] == 1, "it runs")
        assert front.post("/sleep?mode=wait").status_code == 200
        asking.join()
        assert asked == ["stop"]  # and not "abort"


def test_a_release_that_frees_nothing_is_undone_and_not_tried_again(tmp_path: Path) -> None:
    with sleeper(tmp_path, STANDIN_FREES_NOTHING="1") as (front, _):
        for _ in range(2):
            answer = front.post("/sleep")
            assert answer.status_code == 501
            assert "torch_memory_saver" in answer.json()["error"]["message"]
            assert front.get("/is_sleeping").json() == {"is_sleeping": False}
            assert chat(front) == 200


def test_without_a_driver_that_tells_nothing_is_released(tmp_path: Path) -> None:
    policy = Policy(dev_mode=True, sleep_mode=True, weights_backup=True)
    memory = DeviceMemory(drm=tmp_path / "none", nodes=tmp_path)
    with stand_in() as engine, middleware(engine.port, memory=memory, policy=policy) as front:
        answer = front.post("/sleep")
        assert answer.status_code == 501
        assert "no driver of a GPU" in answer.json()["error"]["message"]
        assert chat(front) == 200


def test_without_sleep_mode_only_level_0_is_there(tmp_path: Path) -> None:
    with sleeper(tmp_path, enabled=False) as (front, _):
        answer = front.post("/sleep")
        assert answer.status_code == 400
        assert "--enable-sleep-mode" in answer.json()["error"]["message"]
        assert chat(front) == 200
        assert front.post("/sleep?level=0").json() == {"status": "sleeping", "level": 0}
        assert front.get("/is_sleeping").json() == {"is_sleeping": True}
        assert front.post("/wake_up").json() == {"status": "awake", "tags": None}
        assert chat(front) == 200


@pytest.mark.parametrize(
    ("query", "status"), [("level=3", 400), ("level=x", 400), ("mode=later", 400), ("level=1&mode=keep", 400)]
)
def test_what_cannot_be_asked_is_refused_and_nothing_changes(tmp_path: Path, query: str, status: int) -> None:
    with sleeper(tmp_path) as (front, _):
        assert front.post(f"/sleep?{query}").status_code == status
        assert front.get("/is_sleeping").json() == {"is_sleeping": False}
        assert chat(front) == 200


def test_the_kv_cache_alone_is_released_of_a_paused_engine(tmp_path: Path) -> None:
    with sleeper(tmp_path) as (front, _):
        assert front.post("/release_kv_cache_memory").status_code == 400
        assert front.post("/pause").status_code == 200
        assert front.post("/release_kv_cache_memory").json() == {"status": "kv_cache_released"}
        assert front.get("/is_sleeping").json() == {"is_sleeping": True}
        assert front.post("/wake_up?tags=kv_cache").json()["status"] == "awake"
        assert chat(front) == 200


def test_while_memory_is_released_it_is_not_resumed_and_not_updated(tmp_path: Path) -> None:
    with sleeper(tmp_path) as (front, _):
        front.post("/sleep")
        assert front.post("/resume").status_code == 409
        assert front.post("/pause").status_code == 200
        assert front.get("/is_sleeping").json() == {"is_sleeping": True}
        assert chat(front) == 503
        front.post("/wake_up")
        assert chat(front) == 200


def test_weights_that_were_dropped_are_brought_before_it_serves(tmp_path: Path) -> None:
    """As trainers do it: weights' memory, new weights, the cache's memory."""
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    with sleeper(tmp_path, backup=False) as (front, _):
        front.post("/sleep?level=2")
        assert front.post("/reload_weights").status_code == 409
        front.post("/wake_up?tags=weights")
        assert front.post("/reload_weights").status_code == 200
        assert front.post("/wake_up?tags=kv_cache").json()["status"] == "awake"
        assert chat(front) == 200
        front.post("/sleep?level=2")
        assert front.post("/wake_up").json()["status"] == "sleeping"
        assert chat(front) == 503
        assert front.post("/reload_weights").status_code == 200
        assert chat(front) == 200


def test_level_1_without_a_copy_of_the_weights_reads_them_again(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    with sleeper(tmp_path, backup=False) as (front, engine):
        front.post("/sleep")
        assert front.post("/wake_up").json()["status"] == "awake"
        assert "/update_weights_from_disk" in [path for path, _ in engine.stats()["orders"]]
        assert chat(front) == 200


def test_an_engine_that_dies_asleep_comes_back_awake_and_with_weights_of_its_own(tmp_path: Path) -> None:
    with sleeper(tmp_path, backup=False) as (front, engine):
        assert front.post("/sleep?level=2").status_code == 200
        engine.crash()
        wait_for(lambda: front.get("/health").status_code == 503, "its death is noticed")
        assert front.get("/is_sleeping").json() == {"is_sleeping": False}
        again = {"STANDIN_CHILDREN": "0", "STANDIN_QUIET": "1", "STANDIN_DEVICE": str(tmp_path)}
        with process(sys.executable, str(STAND_IN), "--port", str(engine.port), env=again):
            wait_for(lambda: chat(front) == 200, "the next one serves")
            assert front.post("/pause").status_code == 200
            assert front.post("/release_kv_cache_memory").status_code == 200
            assert front.post("/wake_up").json()["status"] == "awake"
            assert chat(front) == 200


def test_who_comes_after_us_knows_that_it_sleeps(tmp_path: Path) -> None:
    """Without that /resume would have SGLang compute in memory that it has given back."""
    node = tmp_path / "drm/renderD128/device"
    node.mkdir(parents=True)
    (node / "mem_info_vram_used").symlink_to(tmp_path / "used")
    policy = Policy(dev_mode=True, sleep_mode=True, weights_backup=True)
    given: dict[str, Any] = {
        "memory": DeviceMemory(drm=tmp_path / "drm", nodes=tmp_path / "drm"),
        "policy": policy,
        "ready_file": tmp_path / "ready",
    }
    with stand_in(STANDIN_DEVICE=str(tmp_path)) as engine:
        with middleware(engine.port, **given) as first:
            assert first.post("/sleep").status_code == 200
        with middleware(engine.port, **given) as second:
            assert second.get("/is_sleeping").json() == {"is_sleeping": True}
            assert chat(second) == 503
            assert second.post("/resume").status_code == 409
            assert second.post("/wake_up").json()["status"] == "awake"
            assert chat(second) == 200
        with middleware(engine.port, **given) as third:
            assert chat(third) == 200
