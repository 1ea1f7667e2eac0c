"""Adapters that come and go on the real engine while requests run on them, and one that would end it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.differential.adapters import make_adapter
from tests.engine.conftest import LAUNCH, LOAD_SECONDS, MODEL, NAME
from tests.middleware.adapter_folders import write_adapter
from tests.server import PATIENCE, Server, serving, wait_for

pytestmark = pytest.mark.engine
WORDS = ("--served-model-name", NAME, "--max-model-len", "2048", "--enable-lora", "--max-lora-rank", "8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    for name in ("zero", "noisy"):
        make_adapter(folder / name, noise=name == "noisy")
    return folder


@pytest.fixture(scope="module")
def lora(folder: Path) -> Iterator[Server]:
    env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
    with serving(folder / "server", str(MODEL), *WORDS, engine=LAUNCH, env=env) as server:
        server.wait_ready(LOAD_SECONDS)
        yield server


def load(server: Server, name: str, path: Path, **more: Any) -> httpx.Response:
    return server.client.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(path), **more})


def ask(server: Server, name: str, **more: Any) -> httpx.Response:
    body = {"model": name, "prompt": "The capital of France is", "max_tokens": 6, "temperature": 0, **more}
    return httpx.post(f"{server.url}/v1/completions", json=body, timeout=PATIENCE, trust_env=False)


def likely(server: Server, name: str) -> float:
    """How likely the first token was; the adapter of noise changes hardly a word."""
    return float(ask(server, name, logprobs=1).json()["choices"][0]["logprobs"]["token_logprobs"][0])


def inside(server: Server) -> list[str]:
    """The paths of what SGLang has."""
    cards = httpx.get(f"http://127.0.0.1:{server.port + 1}/v1/models", trust_env=False).json()["data"]
    return [Path(card["root"]).name for card in cards if card["parent"]]


def test_reloads_in_place_under_traffic_lose_no_request(lora: Server, folder: Path) -> None:
    assert load(lora, "a", folder / "zero").status_code == 200
    plain = pytest.approx(likely(lora, NAME), abs=1e-3)
    assert likely(lora, "a") == plain, "it changes nothing"
    done = threading.Event()

    def client() -> set[tuple[int, str]]:
        seen = set()
        while not done.is_set():
            answer = ask(lora, "a")
            seen.add((answer.status_code, answer.json().get("model")))
        return seen

    with ThreadPoolExecutor() as threads:
        clients = [threads.submit(client) for _ in range(3)]
        paths = [folder / name for name in ("noisy", "zero") * 3]
        reloads = [load(lora, "a", path, load_inplace=True).status_code for path in paths]
        missing = load(lora, "a", folder / "nowhere", load_inplace=True)
        done.set()
        assert [one.result(PATIENCE) for one in clients] == [{(200, "a")}] * 3
    assert (reloads, missing.status_code) == ([200] * 6, 404)
    assert likely(lora, "a") == plain
    assert load(lora, "a", folder / "noisy", load_inplace=True).status_code == 200
    assert likely(lora, "a") != plain
    wait_for(lambda: inside(lora) == ["noisy"], "the old ones are unloaded")


def test_nothing_waits_for_a_stream_on_an_adapter_that_is_unloaded(lora: Server, folder: Path) -> None:
    assert load(lora, "b", folder / "zero").status_code == 200
    body = {"model": "b", "prompt": "Once", "max_tokens": 200, "ignore_eos": True, "stream": True}
    with lora.client.stream("POST", "/v1/completions", json=body) as stream:
        lines = stream.iter_lines()
        first = next(lines)
        assert json.loads(first.removeprefix("data: "))["model"] == "b"
        with httpx.Client(base_url=lora.url, timeout=2.0, trust_env=False) as impatient:
            unload = impatient.post("/v1/unload_lora_adapter", json={"lora_name": "b"})
            assert (unload.status_code, ask(lora, "b").status_code) == (200, 404)
            again = impatient.post("/v1/load_lora_adapter", json={"lora_name": "b", "lora_path": str(folder / "noisy")})
            assert again.status_code == 200
        assert "zero" in inside(lora), "the stream still runs on it"
        assert [line for line in lines if line][-1] == "data: [DONE]"
    wait_for(lambda: "zero" not in inside(lora), "it is unloaded behind the stream")


def test_an_adapter_of_another_model_is_refused_and_the_engine_lives(lora: Server, folder: Path) -> None:
    write_adapter(folder / "other", {"q_proj": (896, 896), "v_proj": (896, 128)}, rank=8)
    refused = load(lora, "other", folder / "other")
    assert (refused.status_code, "it is another model's" in refused.text) == (500, True)
    assert (ask(lora, "other").status_code, ask(lora, NAME).status_code) == (404, 200)
    assert "Traceback" not in lora.output
