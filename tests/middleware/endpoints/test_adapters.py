"""Adapters at run time: names that come and go, also while requests run, when SGLang fails, and when it starts anew."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from middleware.adapters import Adapters
from middleware.endpoints import adapters as endpoint
from tests.middleware.endpoints.policies import Switched
from tests.middleware.endpoints.sglang import NAME, Sglang, behind
from tests.middleware.serving import PATIENCE, Served, wait_for

LORA = Switched(runtime_lora=True)
SUCCESS = {"success": True, "error_message": "", "loaded_adapters": {}}


def failing(words: str) -> Any:
    return (400, {"success": False, "error_message": words, "loaded_adapters": None})


def accepting(**others: Any) -> Sglang:
    return Sglang(answers={"/load_lora_adapter": SUCCESS, "/unload_lora_adapter": SUCCESS, **others})


def load(front: Served, name: str = "a", **more: Any) -> httpx.Response:
    return front.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": f"/adapters/{name}", **more})


def unload(front: Served, name: str = "a") -> httpx.Response:
    return front.post("/v1/unload_lora_adapter", json={"lora_name": name})


def names(front: Served) -> list[str]:
    return [card["id"] for card in front.get("/v1/models").json()["data"]]


def test_a_name_can_be_loaded_again_after_it_was_unloaded() -> None:
    with behind(accepting(), policy=LORA) as front:
        for _ in range(2):
            assert load(front).status_code == 200
            assert names(front) == [NAME, "a"]
            assert unload(front).status_code == 200
            assert names(front) == [NAME]


def test_what_is_unloaded_is_not_found_though_sglang_would_load_it_again() -> None:
    chat = {"model": "a", "messages": [{"role": "user", "content": "x"}]}
    with behind(accepting(), policy=LORA) as front:
        load(front)
        assert "does not exist" not in front.post("/tokenize", json={"model": "a", "prompt": "x"}).text
        unload(front)
        for path, body in (("/tokenize", {"model": "a", "prompt": "x"}), ("/v1/chat/completions", chat)):
            answer = front.post(path, json=body)
            assert answer.status_code == 404
            assert "The model `a` does not exist." in answer.json()["error"]["message"]


def test_in_place_is_an_unload_and_a_load() -> None:
    engine = accepting()
    with behind(engine, policy=LORA) as front:
        load(front)
        assert load(front).status_code == 400
        assert load(front, load_inplace=True).status_code == 200
        assert [path for _, path, _ in engine.asked] == [
            "/load_lora_adapter", "/unload_lora_adapter", "/load_lora_adapter",
        ]  # fmt: skip


def test_what_sglang_has_left_over_under_a_name_is_cleared_up() -> None:
    outcomes = [failing("Failed to load LoRA adapter a because it is already loaded"), SUCCESS]
    engine = accepting(**{"/load_lora_adapter": lambda _: outcomes.pop(0)})
    with behind(engine, policy=LORA) as front:
        assert load(front).status_code == 200
        assert engine.of("/unload_lora_adapter") == [{"lora_name": "a"}]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("[Errno 2] No such file or directory: '/adapters/a/adapter_config.json'", 404, "No adapter found for"),
        ("LoRA is not enabled. Please set `--enable-lora` to enable LoRA.", 500, "LoRA is not enabled."),
        ("rank 64 of /srv/models/a/x.safetensors is above 16", 500, "rank 64 of <path> is above 16"),
        ("", 500, "did not load"),
    ],
)
def test_why_sglang_did_not_load_it(words: str, status: int, message: str) -> None:
    with behind(accepting(**{"/load_lora_adapter": failing(words)}), policy=LORA) as front:
        answer = load(front)
        assert answer.status_code == status
        assert message in answer.json()["error"]["message"]
        assert "/srv" not in answer.text
        assert names(front) == [NAME]


def test_an_unload_that_fails_in_sglang_is_an_unload_all_the_same() -> None:
    with behind(accepting(**{"/unload_lora_adapter": failing("busy")}), policy=LORA) as front:
        load(front)
        assert unload(front).status_code == 200
        assert names(front) == [NAME]


@pytest.mark.parametrize("broken", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"])
def test_an_engine_that_breaks_is_502(broken: bytes) -> None:
    with behind(accepting(**{"/load_lora_adapter": broken}), policy=LORA) as front:
        answer = load(front)
        assert (answer.status_code, answer.json()["error"]["type"]) == (502, "BadGatewayError")
        assert names(front) == [NAME]


def test_an_unload_does_not_wait_long_for_requests_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "UNLOAD_SECONDS", 0.1)
    finish = threading.Event()

    async def slow(body: Any) -> Any:
        await asyncio.to_thread(finish.wait, PATIENCE)
        return SUCCESS

    engine = accepting(**{"/unload_lora_adapter": slow})
    with behind(engine, policy=LORA) as front, ThreadPoolExecutor() as threads:
        load(front)
        assert unload(front).status_code == 200
        assert names(front) == [NAME]
        # The same name comes after the unload, not before it.
        again = threads.submit(load, front)
        wait_for(lambda: not again.done(), "it waits")
        assert engine.of("/load_lora_adapter") == [{"lora_name": "a", "lora_path": "/adapters/a"}]
        finish.set()
        assert again.result(PATIENCE).status_code == 200
        assert names(front) == [NAME, "a"]


def test_of_two_loads_of_a_name_at_once_one_is_refused() -> None:
    engine = accepting()
    with behind(engine, policy=LORA) as front, ThreadPoolExecutor() as threads:
        answers = [answer.result(PATIENCE) for answer in [threads.submit(load, front) for _ in range(4)]]
        assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
        assert len(engine.of("/load_lora_adapter")) == 1


def test_without_the_switch_there_is_no_such_route() -> None:
    with behind(accepting()) as front:
        for answer in (
            load(front),
            unload(front),
            front.post("/adapters", json={}),
            front.client.delete("/adapters/a"),
        ):
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_locks_are_forgotten() -> None:
    async def change() -> None:
        adapters = Adapters({})
        async with adapters.change("a"):
            waiting = asyncio.ensure_future(adapters.change("a").__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert adapters._changing == {}
        assert adapters._waiting == {}

    asyncio.run(change())
