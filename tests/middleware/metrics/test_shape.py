"""The page is what Prometheus can read, in every state: no series twice, buckets that add up, each with a type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from middleware.engine import State
from middleware.metrics.record import How, Kind
from middleware.metrics.table import TABLE
from tests.middleware.endpoints.sglang import Sglang
from tests.middleware.metrics import answers
from tests.middleware.metrics.answers import CHAT, CHATS
from tests.middleware.metrics.counting import counting, idle_page
from tests.middleware.metrics.pages import RECORDED, Page, Pages


def ranked(dp: int) -> bytes:
    """The recorded text as so many data parallel ranks tell it."""
    lines = []
    for line in RECORDED.decode().splitlines():
        many = 'tp_rank="' in line and not line.startswith("#")
        lines += [line.replace("{", f'{{dp_rank="{rank}",', 1) for rank in range(dp)] if many else [line]
    return "\n".join([*lines, ""]).encode()


def served() -> Iterator[Page]:
    with counting(Sglang({CHATS: answers.chat("stop"), "/metrics": (200, RECORDED)})) as front:
        for body in (CHAT, {**CHAT, "top_p": 3}, {**CHAT, "best_of": 2}):
            front.post(CHATS, json=body)
        yield idle_page(front)


@pytest.fixture(
    params=["loading", "fresh", "told", "told by 8", "paused", "asleep", "gone", "restarted", "served"], scope="module"
)
def page(request: pytest.FixtureRequest) -> Page:
    pages = Pages()
    match request.param:
        case "loading":
            pages.engine.__init__()  # type: ignore[misc]
        case "told":
            pages.says(RECORDED)
        case "told by 8":
            pages.says(ranked(8))
        case "paused" | "asleep" | "gone":
            pages.after(RECORDED)
            pages.engine.become(State(request.param), "for the test")
        case "restarted":
            pages.after(RECORDED)
            pages.engine.become(State.GONE, "for the test")
            pages.begin(ranked(2))
        case "served":
            return next(served())
    return pages.page()


def test_no_series_stands_there_twice(page: Page) -> None:
    """That no family does is a matter of reading the page."""
    heads = Counter((one.name, tuple(sorted(one.labels.items()))) for one in page.samples)
    assert [head for head, count in heads.items() if count > 1] == []


def test_a_familys_samples_stand_together_behind_its_type(page: Page) -> None:
    typed = [line.split()[2] for line in page.text.splitlines() if line.startswith("# TYPE")]
    assert [name for name, count in Counter(typed).items() if count > 1] == []
    assert {series.kind for series in page.series.values()} <= {"counter", "gauge", "histogram", "summary"}


def test_buckets_rise_to_the_count(page: Page) -> None:
    histograms = {name: series for name, series in page.series.items() if series.kind == "histogram"}
    assert len(histograms) > 15
    for name, series in histograms.items():
        buckets: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        for one in series.samples:
            if one.name == f"{name}_bucket":
                labels = dict(one.labels)
                le = float(labels.pop("le"))
                buckets.setdefault(tuple(sorted(labels.items())), []).append((le, one.value))
        counts = {tuple(sorted(one.labels.items())): one.value for one in series.samples if one.name == f"{name}_count"}
        sums = {tuple(sorted(one.labels.items())) for one in series.samples if one.name == f"{name}_sum"}
        assert buckets.keys() == counts.keys() == sums
        for key, each in buckets.items():
            assert [le for le, _ in each] == sorted({le for le, _ in each}), name
            assert [count for _, count in each] == sorted(count for _, count in each), name
            assert each[-1] == (float("inf"), counts[key])


def test_every_series_of_ours_says_when_it_began_to_count(page: Page) -> None:
    for series in TABLE:
        name = series.name.removesuffix("_total") if series.kind is Kind.COUNTER else series.name
        if series.kind in (Kind.COUNTER, Kind.HISTOGRAM, Kind.SUMMARY) and name in page.series:
            ending = "_total" if series.kind is Kind.COUNTER else "_count"
            counted = {tuple(sorted(one.labels.items())) for one in page.all(name + ending)}
            began = {tuple(sorted(one.labels.items())): one.value for one in page.all(f"{name}_created")}
            assert began.keys() == counted, name
            assert all(value > 1e9 for value in began.values())


def test_all_that_only_grows_is_there_from_the_beginning(page: Page) -> None:
    """But for what a request makes: an alert on a rate must not wait for the first."""
    by_requests = {
        series.name for series in TABLE if series.how is How.COUNTED and not series.seeds and series.label_names
    }
    for series in TABLE:
        wanted = series.how is not How.ABSENT and series.kind is not Kind.GAUGE and not series.only_with
        if wanted and series.name not in by_requests:
            name = series.name.removesuffix("_total") if series.kind is Kind.COUNTER else series.name
            assert name in page.series, name
