"""When SGLang is asked, and what its answer is worth: the first of an engine, a late one, one too many."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from middleware.engine import State
from middleware.metrics import scrape
from middleware.metrics.known import FRESH_SECONDS
from middleware.metrics.scrape import REUSE_SECONDS
from tests.middleware.metrics.pages import Page, Pages, texts
from tests.server import ROOT

PROMPTS, USED = "vllm:prompt_tokens_total", "vllm:kv_cache_usage_perc"


def told(prompts: float, born: float = 1.0) -> str:
    counted = texts("counter", {'sglang:prompt_tokens_total{is_streaming="false"}': prompts})
    return counted + texts("gauge", {'sglang:startup_time_seconds{phase="scheduler_e2e"}': born})


def used(part: float) -> str:
    return texts("gauge", {"sglang:token_usage": part})


def served(pages: Pages) -> Pages:
    pages.begin(told(0))
    assert pages.after(told(100)).value(PROMPTS) == 100
    pages.engine.become(State.GONE, "it died")
    return pages


def test_the_ages_and_the_patience_that_the_document_tells() -> None:
    said = " ".join((ROOT / "docs/metrics.md").read_text().split())
    assert (scrape.REUSE_SECONDS, "told less than half a second ago" in said) == (0.5, True)
    assert (scrape.PATIENCE_SECONDS, "none waits for it for more than 2 s" in said) == (2, True)
    assert (FRESH_SECONDS, "and its gauges for 15 s" in said) == (15, True)


def test_what_was_served_before_the_first_scrape_that_lands_is_no_warm_up() -> None:
    pages = served(Pages())
    pages.answer = (500, b"")
    pages.become_ready()
    assert pages.after(told(5000, born=2.0)).value(PROMPTS) == 5100
    assert pages.after(told(5010, born=2.0)).value(PROMPTS) == 5110


class Slow(Pages):
    """SGLang answers when it is let."""

    def __init__(self) -> None:
        self.go: asyncio.Event | None = None
        super().__init__()

    async def _fetch(self) -> tuple[int, bytes]:
        answer = await super()._fetch()
        if self.go is not None:
            await self.go.wait()
        return answer

    async def read(self) -> Page:
        self.now += REUSE_SECONDS
        return Page((await self.metrics.page()).decode())


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    monkeypatch.setattr(scrape, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(scrape, "AGAIN_SECONDS", 0.0)
    return Slow()


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def let_go(pages: Slow) -> None:
    """Until what it is asked has landed."""
    assert pages.go is not None
    pages.go.set()
    await until(lambda: pages.metrics._scraper._flight is None)
    pages.go.clear()


def test_what_was_asked_before_it_was_ready_and_lands_later_is_its_warm_up(slow: Slow) -> None:
    async def run() -> None:
        slow.go = asyncio.Event()
        slow.says(told(6, born=2.0))
        slow.engine.become(State.GONE, "it died")
        await slow.metrics.begin()
        slow.engine.become(State.READY, "it is")
        await let_go(slow)
        slow.says(told(10, born=2.0))
        await slow.read()
        await let_go(slow)
        assert (await slow.read()).value(PROMPTS) == 4
        slow.metrics.stop()

    slow.go = None
    asyncio.run(run())


def test_a_first_scrape_that_failed_is_tried_again_without_a_scraper_until_it_lands(slow: Slow) -> None:
    async def run() -> None:
        slow.answer = (500, b"")
        asked = slow.asked
        slow.engine.become(State.GONE, "it died")
        await slow.metrics.begin()
        slow.engine.become(State.READY, "it is")
        await until(lambda: slow.asked > asked + 2)
        slow.says(told(7))
        await until(lambda: slow.metrics._scraper.age is not None)
        await until(lambda: len(asyncio.all_tasks()) == 1)
        asked = slow.asked
        await asyncio.sleep(0)
        assert slow.asked == asked

    asyncio.run(run())


@pytest.mark.parametrize("ending", ["stopped", "gone"])
def test_trying_again_ends_with_the_engine_and_with_the_middleware(ending: str, slow: Slow) -> None:
    async def run() -> None:
        slow.answer = (500, b"")
        slow.engine.become(State.GONE, "it died")
        await slow.metrics.begin()
        slow.engine.become(State.READY, "it is")
        if ending == "stopped":
            slow.metrics.stop()
        else:
            slow.engine.become(State.GONE, "it died again")
        await until(lambda: len(asyncio.all_tasks()) == 1)

    asyncio.run(run())


def test_what_was_asked_of_the_engine_that_was_is_not_the_new_ones(slow: Slow) -> None:
    async def run() -> None:
        slow.go = asyncio.Event()
        slow.says(told(150))
        await slow.read()
        slow.engine.become(State.GONE, "it died")
        slow.go.set()
        slow.says(told(6, born=2.0))
        await slow.metrics.begin()
        slow.engine.become(State.READY, "it is")
        await until(lambda: slow.metrics._scraper.age is not None)
        slow.metrics.stop()

    asyncio.run(run())
    assert slow.metrics._known.ledger._now['sglang:prompt_tokens_total{is_streaming="false"}'] == 6


def test_an_engine_that_always_tells_late_has_gauges_and_their_age(slow: Slow) -> None:
    async def run() -> None:
        slow.go = asyncio.Event()
        slow.says(used(0.5))
        assert (await slow.read()).value(USED) is None
        await let_go(slow)
        slow.says(used(0.7))
        slow.now += 3.0
        page = await slow.read()
        assert page.value(USED) == 0.5
        assert page.value("vllm_shim:engine_metrics_age_seconds") == 3.0 + REUSE_SECONDS
        assert page.value("vllm_shim:engine_metrics_fresh") == 1
        slow.now += FRESH_SECONDS
        page = await slow.read()
        assert page.value(USED) is None
        assert page.value("vllm_shim:engine_metrics_fresh") == 0
        slow.metrics.stop()

    asyncio.run(run())


def test_nothing_that_another_life_of_the_engine_told_is_fresh(slow: Slow) -> None:
    async def run() -> None:
        slow.go = asyncio.Event()
        slow.engine.become(State.GONE, "it died")
        page = await slow.read()
        assert (page.value(USED), page.value("vllm_shim:engine_metrics_age_seconds")) == (None, None)
        await slow.metrics.begin()
        slow.engine.become(State.READY, "it is")
        page = await slow.read()
        assert (page.value(USED), page.value("vllm_shim:engine_metrics_fresh")) == (None, 0)
        slow.metrics.stop()

    slow.says(used(0.5))
    asyncio.run(run())


def test_one_who_asks_without_end_does_not_make_sglang_collect_without_end() -> None:
    pages = Pages()
    pages.after(used(0.5))
    asked = pages.asked
    for _ in range(20):
        pages.now -= REUSE_SECONDS * 0.99
        pages.page()
    assert pages.asked == asked
    pages.page()
    assert pages.asked == asked + 1
