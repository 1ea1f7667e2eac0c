"""What the table takes from SGLang is there in SGLang 0.5.23, of that type and with those labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from middleware.metrics.record import Kind, Series, Term
from middleware.metrics.sglang import SAID_ALREADY, SAYS_NOTHING
from middleware.metrics.table import TABLE
from middleware.stall import PROGRESS, WORK
from tests.middleware.metrics.pages import RECORDED, Page
from tests.middleware.metrics.sglang_names import KNOWN, SOURCE, found

METRICS: dict[str, dict[str, Any]] = json.loads(KNOWN.read_text())
TOLD = Page(RECORDED.decode())
# Read by name where the page is written.
READ_ELSEWHERE = {
    "sglang:page_size",
    "sglang:num_pages",
    "sglang:hicache_host_used_tokens",
    "sglang:hicache_host_total_tokens",
    "sglang:startup_time_seconds",
}
# What --priority and the like add to each sample is not a metric's own.
VALUES = {
    "mode": {"input", "device_hit", "host_hit", "storage_hit"},
    "stage": {"prefill_forward"},
    "cache_source": {"device"},
}
# The recorded one keeps its cache on its device alone; SGLang's code has these, and `total` where it does not know.
UNSEEN = {"cache_source": {"host", "storage", "total"}}


def terms() -> Iterator[tuple[Series, Term]]:
    for series in TABLE:
        for row in series.rows:
            yield from ((series, term) for term in row.terms)


def of_family(name: str) -> str:
    """A histogram's samples have endings that it has not."""
    for suffix in ("_bucket", "_sum", "_count"):
        if METRICS.get(name.removesuffix(suffix), {}).get("type") == "histogram":
            return name.removesuffix(suffix)
    return name


@pytest.mark.parametrize("name", sorted({term.name for _, term in terms()}))
def test_a_source_of_the_table_is_a_metric_of_sglangs(name: str) -> None:
    assert of_family(name) in METRICS


def test_a_source_is_of_the_type_that_the_series_needs() -> None:
    for series, term in terms():
        source = METRICS[of_family(term.name)]["type"]
        if series.kind is Kind.GAUGE:
            assert source == "gauge", series.name
        elif series.kind is Kind.COUNTER:
            assert source == "counter", series.name
        else:
            assert source == "histogram", series.name


def test_a_label_that_a_source_must_have_is_one_that_it_has() -> None:
    for _, term in terms():
        assert {name for name, _ in term.where} <= set(METRICS[of_family(term.name)]["labels"])


def test_a_labels_value_was_seen_in_what_a_real_sglang_told() -> None:
    assert VALUES.keys() == {name for _, term in terms() for name, _ in term.where}
    for label, values in VALUES.items():
        asked = {value for _, term in terms() for name, value in term.where if name == label}
        unseen = UNSEEN.get(label, set())
        assert asked == values | unseen
        seen = {one.labels.get(label) for one in TOLD.samples}
        assert values <= seen
        assert not unseen & seen


def test_a_factor_and_a_condition_of_the_table_are_metrics_of_sglangs() -> None:
    factors = {row.times for series in TABLE for row in series.rows if row.times}
    assert {METRICS[name]["type"] for name in factors} == {"gauge"}
    assert {series.only_with for series in TABLE} - {""} <= METRICS.keys()


def test_what_is_read_by_name_or_left_out_is_a_metric_of_sglangs() -> None:
    watched = set(PROGRESS) | set(WORK)
    assert READ_ELSEWHERE | watched | SAID_ALREADY <= METRICS.keys()
    for start in SAYS_NOTHING:
        assert any(name.startswith(start) for name in METRICS), start


def test_what_is_left_out_under_sglangs_name_is_said_under_vllms() -> None:
    sources = {of_family(term.name) for _, term in terms()}
    assert sources >= SAID_ALREADY


def test_the_recorded_text_has_no_metric_that_the_list_does_not_know() -> None:
    for name, series in TOLD.series.items():
        known = METRICS.get(name) or METRICS[f"{name}_total"]
        assert known["type"] == series.kind


@pytest.mark.engine
def test_the_list_is_what_the_installed_sglang_has() -> None:
    if not SOURCE.is_dir():
        pytest.fail("the CPU engine is not installed: run `make engine`")
    assert found() == METRICS, "run `python -m tests.middleware.metrics.sglang_names`"
