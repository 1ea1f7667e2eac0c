"""Adapters at run time: names that come and go, also while requests run, when SGLang fails, and when it starts anew."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from middleware.adapters import Adapter, Adapters
from middleware.endpoints import adapters as endpoint
from tests.middleware.adapter_folders import write_adapter, write_model
from tests.middleware.endpoints.lora import Lora
from tests.middleware.endpoints.policies import Switched
from tests.middleware.endpoints.sglang import NAME, PATH, Sglang, behind
from tests.middleware.serving import PATIENCE, Served, wait_for

LORA = Switched(runtime_lora=True)
SUCCESS = {"success": True, "error_message": "", "loaded_adapters": {}}


def failing(words: str) -> Any:
    return (400, {"success": False, "error_message": words, "loaded_adapters": None})


def accepting(**others: Any) -> Sglang:
    return Sglang(answers={"/load_lora_adapter": SUCCESS, "/unload_lora_adapter": SUCCESS, **others})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "SETTLE_SECONDS", 0.0)


def load(front: Served, name: str = "a", path: str = "", **more: Any) -> httpx.Response:
    body = {"lora_name": name, "lora_path": path or f"/adapters/{name}", **more}
    return front.post("/v1/load_lora_adapter", json=body)


def unload(front: Served, name: str = "a") -> httpx.Response:
    return front.post("/v1/unload_lora_adapter", json={"lora_name": name})


def names(front: Served) -> list[str]:
    return [card["id"] for card in front.get("/v1/models").json()["data"]]


def roots(front: Served) -> dict[str, str]:
    return {card["id"]: card["root"] for card in front.get("/v1/models").json()["data"]}


def told(front: Served, name: str = "a", prompt: str = "short") -> tuple[int, str, str]:
    """The status, the model's name and the text, which is the path of the adapter that was used."""
    answer = httpx.post(f"{front.url}/v1/completions", json={"model": name, "prompt": prompt}, timeout=PATIENCE)
    if answer.status_code != 200:
        return answer.status_code, "", answer.text
    return 200, answer.json()["model"], answer.json()["choices"][0]["text"]


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


def test_in_place_the_old_one_serves_until_the_new_one_is_there() -> None:
    engine = Lora()
    engine.slow.add("/adapters/slow")
    with behind(engine, policy=LORA) as front, ThreadPoolExecutor() as threads:
        load(front)
        assert load(front).status_code == 400
        loading = threads.submit(load, front, path="/adapters/slow", load_inplace=True)
        wait_for(lambda: len(engine.of("/load_lora_adapter")) == 2, "the second load is on its way")
        assert told(front) == (200, "a", "/adapters/a")
        assert roots(front) == {NAME: PATH, "a": "/adapters/a"}
        engine.release()
        assert loading.result(PATIENCE).status_code == 200
        assert told(front) == (200, "a", "/adapters/slow")
        assert roots(front) == {NAME: PATH, "a": "/adapters/slow"}
        wait_for(lambda: list(engine.paths.values()) == ["/adapters/slow"], "the old one is unloaded")


def test_in_place_under_traffic_loses_no_request() -> None:
    engine = Lora()
    with behind(engine, policy=LORA) as front, ThreadPoolExecutor() as threads:
        load(front)
        done = threading.Event()

        def client() -> set[int]:
            statuses = set()
            while not done.is_set():
                statuses.add(told(front)[0])
            return statuses

        clients = [threads.submit(client) for _ in range(3)]
        reloads = [load(front, path=f"/adapters/{n}", load_inplace=True).status_code for n in range(6)]
        done.set()
        assert [one.result(PATIENCE) for one in clients] == [{200}] * 3
        assert reloads == [200] * 6
        assert told(front) == (200, "a", "/adapters/5")
        wait_for(lambda: list(engine.paths.values()) == ["/adapters/5"], "the old ones are unloaded")


def test_a_load_in_place_that_fails_leaves_the_old_one() -> None:
    with behind(Lora(), policy=LORA) as front:
        load(front)
        failed = load(front, path="/adapters/bad", load_inplace=True)
        assert (failed.status_code, "Failed to load a because" in failed.text) == (500, True)
        assert roots(front) == {NAME: PATH, "a": "/adapters/a"}
        assert told(front) == (200, "a", "/adapters/a")


def test_nothing_waits_for_a_request_on_an_adapter_that_is_unloaded() -> None:
    engine = Lora()
    with behind(engine, policy=LORA) as front, ThreadPoolExecutor() as threads:
        load(front)
        streaming = threads.submit(told, front, prompt="long")
        wait_for(lambda: any(engine.running.values()), "it runs")
        assert unload(front).status_code == 200
        assert roots(front) == {NAME: PATH}
        assert told(front)[0] == 404
        assert load(front, "b").status_code == 200
        assert load(front, path="/adapters/new").status_code == 200
        assert told(front) == (200, "a", "/adapters/new")
        assert not engine.lock.locked()
        assert engine.of("/unload_lora_adapter") == []
        engine.release()
        assert streaming.result(PATIENCE) == (200, "a", "/adapters/a")
        wait_for(lambda: sorted(engine.paths.values()) == ["/adapters/b", "/adapters/new"], "it is unloaded")


def test_a_request_that_is_not_yet_answered_counts_from_when_its_name_is_read() -> None:
    """Else SGLang would load again what it had just unloaded."""
    engine = Lora()
    with behind(engine, policy=LORA) as front, ThreadPoolExecutor(20) as threads:
        for _ in range(10):
            load(front)
            asking = [threads.submit(told, front) for _ in range(20)]
            unload(front)
            assert {one.result(PATIENCE)[0] for one in asking} <= {200, 404}
        wait_for(lambda: not engine.paths, "all are unloaded")
        assert len(engine.of("/load_lora_adapter")) == 10


def test_above_its_limit_an_adapter_that_nobody_runs_on_makes_room() -> None:
    engine = Lora(limit=2)
    with behind(engine, policy=LORA) as front, ThreadPoolExecutor() as threads:
        load(front)
        load(front, "b")
        streaming = threads.submit(told, front, prompt="long")
        wait_for(lambda: any(engine.running.values()), "it runs")
        assert load(front, "c").status_code == 200
        assert sorted(engine.paths.values()) == ["/adapters/a", "/adapters/c"]
        engine.release()
        assert streaming.result(PATIENCE)[0] == 200
        assert told(front, "b") == (200, "b", "/adapters/b")  # SGLang loads it again.


def test_with_no_room_the_old_one_stays() -> None:
    engine = Lora(limit=1)
    with behind(engine, policy=LORA) as front, ThreadPoolExecutor() as threads:
        load(front)
        streaming = threads.submit(told, front, prompt="long")
        wait_for(lambda: any(engine.running.values()), "it runs")
        full = load(front, path="/adapters/new", load_inplace=True)
        assert (full.status_code, "have running requests" in full.text) == (503, True)
        engine.release()
        assert streaming.result(PATIENCE)[0] == 200
        assert told(front) == (200, "a", "/adapters/a")
        assert load(front, path="/adapters/new", load_inplace=True).status_code == 200
        assert told(front) == (200, "a", "/adapters/new")


def test_sglangs_own_way_to_name_an_adapter_means_the_same_one() -> None:
    engine = Lora()
    with behind(engine, policy=LORA) as front:
        load(front)
        body = {"model": NAME, "prompt": "a", "lora_path": "a"}
        assert front.post("/v1/completions", json=body).json()["choices"][0]["text"] == "/adapters/a"
        inside = engine.of("/v1/completions")[0]["lora_path"]
        assert front.post("/v1/completions", json={**body, "lora_path": inside}).status_code == 400


def test_a_middleware_that_starts_anew_finds_the_names_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "SETTLE_SECONDS", PATIENCE)  # It ends before the old one is unloaded.
    engine = Lora()
    with behind(engine, policy=LORA) as front:
        load(front)
        load(front, "org/b#1")
        load(front, path="/adapters/new", load_inplace=True)
        assert len(engine.paths) == 3
    with behind(engine, policy=LORA) as front:
        assert roots(front) == {NAME: PATH, "org/b#1": "/adapters/org/b#1", "a": "/adapters/new"}
        assert told(front) == (200, "a", "/adapters/new")


@pytest.mark.parametrize("bad", [{"lora_name": "a/b\nFORGED"}, {"lora_path": "/x\x1b[2J"}, {"lora_name": "a\u2028"}])
def test_a_line_of_the_log_cannot_be_forged(bad: dict[str, str]) -> None:
    engine = accepting()
    with behind(engine, policy=LORA) as front:
        answer = front.post("/v1/load_lora_adapter", json={"lora_name": "a", "lora_path": "/a", **bad})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "InvalidUserInput")
        assert engine.of("/load_lora_adapter") == []


def test_a_name_with_a_slash_can_be_unregistered() -> None:
    with behind(accepting(), policy=LORA) as front:
        assert load(front, "a/b").status_code == 200
        assert front.client.delete("/adapters/a%2Fb").text == "Adapter a/b unregistered"
        assert names(front) == [NAME]


def test_what_sglang_could_not_run_does_not_get_there(tmp_path: Path) -> None:
    model, adapter = tmp_path / "model", tmp_path / "adapter"
    write_model(model)
    write_adapter(adapter, {"q_proj": (8, 8), "v_proj": (5, 3)})
    engine = accepting()
    with behind(engine, policy=Switched(runtime_lora=True, model_path=str(model))) as front:
        body = {"lora_name": "a", "lora_path": str(adapter)}
        refused = front.post("/v1/load_lora_adapter", json=body)
        assert (refused.status_code, refused.json()["error"]["type"]) == (500, "InternalServerError")
        assert "lora_A.weight is 5 wide, and the model there 8" in refused.json()["error"]["message"]
        assert engine.of("/load_lora_adapter") == []
        write_adapter(adapter, {"q_proj": (8, 8), "v_proj": (8, 4)})
        assert front.post("/v1/load_lora_adapter", json=body).status_code == 200


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


def test_an_engine_that_was_silent_brings_back_nothing_that_was_unloaded() -> None:
    adapters = Adapters({"start": "/start"})
    old, new = (adapters.fresh("a", path) for path in ("/old", "/new"))
    adapters.put("a", old)
    with adapters.serving():
        assert adapters.use("a") == old.inside
        adapters.put("a", new)
        unloaded: list[str] = []
        adapters.retire(old, lambda: unloaded.append(old.inside))
        adapters.retire(adapters.take("start"), lambda: unloaded.append("start"))
        assert unloaded == ["start"]
        adapters.reset({old.inside: "/old", new.inside: "/new", "start": "/start"})
        assert {name: adapters[name] for name in adapters} == {"a": "/new"}
    assert unloaded == ["start", old.inside]
    adapters.retired(old, gone=False)
    adapters.retired(Adapter("start", ""), gone=False)
    adapters.reset({old.inside: "/old", "start": "/start"})
    assert {name: adapters[name] for name in adapters} == {"start": "/start"}


def test_a_name_of_the_start_may_look_like_one_of_ours() -> None:
    adapters = Adapters({"a#1": ""})
    adapters.reset({"a#1": "/one", "a#2": "/two"})
    assert {name: adapters[name] for name in adapters} == {"a#1": "/one", "a": "/two"}
