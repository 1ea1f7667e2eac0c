"""The page as a person has it, in a real browser over the whole stack: what changes is seen, a click gives an order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.middleware.page.browser import Browser, browser
from tests.server import Server, free_port, serving

pytestmark = pytest.mark.browser

MODELS = """\
device_memory_gib: 64
models:
  - {serve: HuggingFaceTB/SmolLM2-135M-Instruct, name: smollm2-135m, aliases: [small], devices: [0], memory_gib: 40}
  - {serve: Qwen/Qwen3-8B, devices: [0], memory_gib: 40}
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "models.yaml").write_text(MODELS)
    port = free_port()
    with serving(folder, "--shim-models", str(folder / "models.yaml"), env={"VLLM_SHIM_PAGE": str(port)}) as server:
        server.wait_ready()
        yield server, f"http://127.0.0.1:{port}/shim/"


def state(name: str) -> str:
    return f"document.querySelector('[data-model={json.dumps(name)}] .state').textContent"


def order(name: str, word: str) -> str:
    return f"[data-model={json.dumps(name)}] [data-order={word}]"


def chat(server: Server, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
    return server.client.post("/v1/chat/completions", json=body).status_code


def test_a_click_loads_a_model_and_the_other_gives_way(page: tuple[Server, str], chromium: Browser) -> None:
    server, url = page
    chromium.open(url)
    chromium.wait("document.querySelectorAll('article').length === 2")
    chromium.click(order("smollm2-135m", "load"))
    chromium.wait(f"{state('smollm2-135m')} === 'awake'")
    chromium.click(order("Qwen/Qwen3-8B", "load"))
    chromium.wait(f"{state('Qwen/Qwen3-8B')} === 'awake' && {state('smollm2-135m')} === 'stopped'")
    running = server.client.get("/running").json()["running"]
    assert [one["model"] for one in running] == ["Qwen/Qwen3-8B"]
    assert chromium.said == []


def test_what_others_do_is_seen_without_a_touch(page: tuple[Server, str], chromium: Browser) -> None:
    server, url = page
    chromium.open(url)
    chromium.wait("document.querySelectorAll('article').length === 2")
    assert chat(server, "small") == 200
    chromium.wait(f"{state('smollm2-135m')} === 'awake'")
    assert "smollm2-135m: awake" in chromium.js(
        "[...document.querySelectorAll('#lanes title')].map(e => e.textContent).join()"
    )


def test_the_log_of_a_model_is_read_live(page: tuple[Server, str], chromium: Browser) -> None:
    server, url = page
    assert chat(server, "small") == 200
    chromium.open(url)
    chromium.wait(
        "[...document.querySelectorAll('#choices button')].some(e => e.textContent === 'sglang-smollm2-135m')"
    )
    chromium.js(
        "[...document.querySelectorAll('#choices button')].find(e => e.textContent === 'sglang-smollm2-135m').click()"
    )
    assert chromium.wait("document.querySelector('#log').textContent")


def test_it_asks_nobody_but_its_own_server(page: tuple[Server, str], chromium: Browser) -> None:
    _, url = page
    chromium.asked.clear()
    chromium.open(url)
    chromium.wait("!!document.querySelector('#plan table')")
    ours = url.removesuffix("shim/")
    assert chromium.asked
    assert [asked for asked in chromium.asked if not asked.startswith(ours)] == []


def test_what_is_served_is_shown_as_text(tmp_path: Path, chromium: Browser) -> None:
    port = free_port()
    name = "<img src=x onerror=alert(1)>"
    with serving(tmp_path, "stand-in", "--served-model-name", name, env={"VLLM_SHIM_PAGE": str(port)}) as server:
        server.wait_ready()
        chromium.open(f"http://127.0.0.1:{port}/shim/")
        assert chromium.wait("document.querySelector('article h3')?.textContent") == name
        chromium.wait("document.querySelector('.state').textContent === 'ready'")
        assert chromium.js("document.querySelector('img')") is None
        words = chromium.wait("document.querySelector('#plan table')?.textContent")
        assert "--served-model-name" in words


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_phone_need_not_be_scrolled_sideways(page: tuple[Server, str], chromium: Browser, dark: bool) -> None:
    _, url = page
    chromium.open(url, width=360, height=740, dark=dark)
    chromium.wait("!!document.querySelector('#plan table')")
    assert chromium.js("document.documentElement.scrollWidth") <= 360
