"""/metrics through the server: always 200 with what is known, whatever the engine does, and in nobody's way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import httpx
import pytest

from middleware.metrics import known
from middleware.metrics.exposition import CONTENT_TYPE
from tests.middleware.endpoints.sglang import NAME, Sglang
from tests.middleware.metrics import answers
from tests.middleware.metrics.answers import CHAT, CHATS
from tests.middleware.metrics.counting import counting, idle_page, page
from tests.middleware.metrics.pages import RECORDED, Page, Pages, texts
from tests.middleware.serving import PATIENCE, Served, free_port, middleware, stand_in, wait_for

LOOKS_IDLE = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:gpu_cache_usage_perc",
)
KEY = "k" * 20


def state(found: Page) -> tuple[list[str], float | None, float | None]:
    ready, fresh = (found.value(f"vllm_shim:engine_{name}") for name in ("ready", "metrics_fresh"))
    return list(found.by("state", "vllm_shim:engine_state")), ready, fresh


def shown(found: Page) -> set[str]:
    return {name for name in LOOKS_IDLE if found.all(name)}


def test_while_the_engine_is_not_there_yet_the_page_is_and_says_so() -> None:
    with middleware(free_port(), wait_ready=False, served_model_names=(NAME,)) as front:
        found = page(front)
    assert state(found) == (["loading"], 0.0, 0.0)
    assert shown(found) == set()
    assert found.value("vllm:prompt_tokens_total", model_name=NAME, engine="0") == 0
    assert found.value("vllm:request_success_total", finished_reason="stop") == 0
    assert found.value("vllm:e2e_request_latency_seconds_count") == 0


def test_while_the_engine_is_there_its_gauges_are() -> None:
    with stand_in() as engine, middleware(engine.port) as front:
        found = page(front)
    assert state(found) == (["ready"], 1.0, 1.0)
    assert shown(found) == set(LOOKS_IDLE)


def test_when_the_engine_is_gone_counters_stay_and_gauges_go() -> None:
    with stand_in() as engine, middleware(engine.port) as front:
        front.post(CHATS, json={"messages": CHAT["messages"], "max_tokens": 3}).raise_for_status()
        before = page(front)
        engine.crash()
        wait_for(lambda: front.get("/health").status_code == 503, "the death to be seen")
        found = page(front)
    assert state(found) == (["gone"], 0.0, 0.0)
    assert shown(found) == set()
    for one in before.samples:
        if one.name.startswith("vllm:") and one.name.endswith(("_total", "_count", "_sum", "_bucket")):
            assert found.value(one.name, **one.labels) == one.value


def http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


@pytest.mark.parametrize(
    "answer",
    [
        http(500, b"{}"),
        http(404, b""),
        http(200, b"<html>"),
        http(200, RECORDED[:1000] + b"\xff"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        b"",
        b"nonsense\r\n\r\n",
    ],
    ids=["500", "404", "no such text", "no utf-8", "half", "nothing", "no http"],
)
def test_an_engine_that_cannot_tell_is_ready_and_its_gauges_are_not_told(answer: bytes) -> None:
    engine = Sglang({CHATS: answers.chat("stop"), "/metrics": (200, RECORDED)})
    with counting(engine) as front:
        front.post(CHATS, json=CHAT).raise_for_status()
        assert shown(idle_page(front)) == set(LOOKS_IDLE)
        engine.answers["/metrics"] = answer
        wait_for(lambda: state(page(front)) == (["ready"], 1.0, 0.0), "it to be asked again")
        found = page(front)
        assert shown(found) == set()
        assert found.value("vllm:request_success_total", finished_reason="stop") == 1
        engine.answers["/metrics"] = (200, RECORDED)
        wait_for(lambda: state(page(front)) == (["ready"], 1.0, 1.0), "it to tell again")


class Held:
    """What SGLang tells when the test says so; until then those who ask wait."""

    def __init__(self, engine: Sglang) -> None:
        self.asked = 0
        self._engine = engine
        self._go = threading.Event()

    async def __call__(self, body: object) -> tuple[int, bytes]:
        self.asked += 1
        await asyncio.to_thread(self._go.wait, PATIENCE)
        return 200, texts("gauge", {"sglang:token_usage": 0.5}).encode()

    def __enter__(self) -> Self:
        self._engine.answers["/metrics"] = self
        return self

    def __exit__(self, *failure: object) -> None:
        self._go.set()

    def let_go(self) -> None:
        self._go.set()


def at_once(ask: Callable[[], Page], times: int) -> list[Page]:
    with ThreadPoolExecutor(times) as pool:
        return [one.result(PATIENCE) for one in [pool.submit(ask) for _ in range(times)]]


def scrape(front: Served) -> Page:
    """On a connection of its own."""
    return Page(httpx.get(f"{front.url}/metrics", timeout=PATIENCE, trust_env=False).raise_for_status().text)


def test_scrapes_at_the_same_time_are_one_at_the_engine() -> None:
    pages = Pages()
    pages.says(texts("gauge", {"sglang:token_usage": 0.5}))
    asked = pages.asked
    found = pages.at_once(8)
    assert pages.asked == asked + 1
    assert [one.value("vllm:kv_cache_usage_perc") for one in found] == [0.5] * 8
    pages.page()
    assert pages.asked == asked + 2, "the next one asks anew"


def test_an_engine_that_hangs_keeps_the_first_scraper_waiting_for_a_moment_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known, "FRESH_SECONDS", 1.0)
    engine = Sglang({CHATS: answers.chat("stop")})
    with counting(engine) as front, Held(engine) as held:
        wait_for(lambda: scrape(front) and held.asked, "what it told before to be too old")
        first = scrape(front)
        others = at_once(lambda: scrape(front), 4)
        front.post(CHATS, json=CHAT).raise_for_status()
        after = scrape(front)
        assert held.asked == 1, "the same question is still open"
        for found in (first, *others, after):
            assert state(found) == (["ready"], 1.0, 0.0)
            assert shown(found) == set()
        assert after.value("vllm:request_success_total", finished_reason="stop") == 1
        held.let_go()
        wait_for(lambda: scrape(front).value("vllm:kv_cache_usage_perc") == 0.5, "the engine tells again")


def test_a_chat_is_served_while_a_scrape_hangs() -> None:
    engine = Sglang({CHATS: answers.chat("stop")})
    with counting(engine) as front, Held(engine) as held, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_for, lambda: scrape(front) and held.asked, "an answer while it is asked")
        wait_for(lambda: held.asked, "the engine to be asked")
        assert front.post(CHATS, json=CHAT).status_code == 200
        held.let_go()
        waiting.result(PATIENCE)


def test_the_page_is_open_without_a_key_and_to_head_and_post_as_in_vllm() -> None:
    with counting(Sglang({"/metrics": (200, RECORDED)}), api_keys=(KEY,)) as front:
        assert front.get("/v1/models").status_code == 401
        for path in ("/metrics", "/metrics/"):
            for method in ("GET", "POST", "HEAD"):
                answer = front.client.request(method, path)
                assert (answer.status_code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
                assert int(answer.headers["content-length"]) > 10_000
                assert (method == "HEAD") == (answer.content == b"")
