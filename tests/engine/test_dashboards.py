"""A real Prometheus scrapes the stack over the real engine while it serves, and is asked what the production stack's
dashboards and autoscalers ask: each query returns numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.engine.conftest import NAME
from tests.prometheus.panels import PANELS, SCALERS, Panel
from tests.prometheus.scraper import JOB, Prometheus, scraping
from tests.server import Server, wait_for

pytestmark = pytest.mark.engine

STREAMS = 6
# Counters are seen to grow only between two scrapes: the traffic goes on until all of them were.
MOST_WAVES = 20
GROWING = ("vllm:request_success_total", "vllm:generation_tokens_total", "vllm:prompt_tokens_total")
WHILE_IT_SERVES = ("vllm:num_requests_running", "vllm:kv_cache_usage_perc")


def ask(server: Server, number: int) -> None:
    """Some are streamed, some end by themselves, and most begin alike, so that the cache has something to give."""
    question = f"What is the capital of France? Say it {number} times."
    body = {"model": NAME, "messages": [{"role": "user", "content": question}], "max_tokens": 24, "temperature": 0}
    body |= {"stream": number % 2 == 0, "ignore_eos": number % 3 == 0}
    server.client.post("/v1/chat/completions", json=body).raise_for_status()


def seen(prometheus: Prometheus) -> bool:
    grown = (prometheus.query(f"sum(increase({series}[5m]))") for series in GROWING)
    at_work = (prometheus.query(f"max(max_over_time({series}[5m]))") for series in WHILE_IT_SERVES)
    return all(found and found[0].value > 0 for found in (*grown, *at_work))


@pytest.fixture(scope="module")
def prometheus(sglang: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """After a load that it has seen come and go."""
    with scraping(f"{sglang.url}/metrics", tmp_path_factory.mktemp("prometheus")) as running:
        with ThreadPoolExecutor(STREAMS) as pool:
            for wave in range(MOST_WAVES):
                list(pool.map(lambda number: ask(sglang, number), range(wave, wave + STREAMS)))
                if seen(running):
                    break
        yield running


def wrong(prometheus: Prometheus, panels: list[Panel]) -> dict[str, str]:
    """What is not answered with numbers: the query, and what came."""
    found = {}
    for panel in panels:
        for query in panel.queries(model_name=NAME, job=JOB):
            series = prometheus.query(query)
            if not series or not all(one.is_number for one in series):
                found[f"{panel.title}: {query}"] = f"{[one.value for one in series]}"
    return found


ASKED = [one for one in (*PANELS, *SCALERS) if not one.absent]
ABSENT = [one for one in (*PANELS, *SCALERS) if one.absent]


def test_prometheus_saw_the_load(prometheus: Prometheus) -> None:
    wait_for(lambda: seen(prometheus), f"growth of {GROWING}, and work in {WHILE_IT_SERVES}")


def test_the_drop_down_of_models_has_our_model_and_no_other(prometheus: Prometheus) -> None:
    assert prometheus.values_of("model_name") == [NAME]


@pytest.mark.parametrize("source", list(dict.fromkeys(one.source for one in ASKED)))
def test_every_panel_and_every_scaler_has_numbers(source: str, prometheus: Prometheus) -> None:
    assert wrong(prometheus, [one for one in ASKED if one.source == source]) == {}


def test_what_an_engine_does_not_answer_is_known(prometheus: Prometheus) -> None:
    """Should one of them come to have numbers, its reason is out of date."""
    answered = {query for one in ABSENT for query in one.queries(model_name=NAME) if prometheus.query(query)}
    assert answered == set()


def test_the_reasons_of_what_finished_are_apart(prometheus: Prometheus) -> None:
    query = f'sum by (finished_reason) (increase(vllm:request_success_total{{model_name="{NAME}"}}[5m]))'

    def grown() -> set[str]:
        return {one.labels["finished_reason"] for one in prometheus.query(query) if one.value > 0}

    wait_for(lambda: grown() >= {"stop", "length"}, "the scrape that has both")
