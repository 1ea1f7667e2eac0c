"""docs/metrics.md has all that the tables have, and says of labels what the page shows."""

from __future__ import annotations

import re

import pytest

from middleware.metrics import document
from middleware.metrics.record import How, Series
from middleware.metrics.sglang import SAID_ALREADY, SAYS_NOTHING
from middleware.metrics.table import ABSENT, TABLE
from middleware.mux.families import FAMILIES, PREFIX
from middleware.phases import Phase
from tests.middleware.metrics.pages import Page, Pages, texts
from tests.server import ROOT

PAGE = (ROOT / "docs/metrics.md").read_text()
ROWS = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
SHOWN = [series for series in TABLE if series.how is not How.ABSENT]


class Loading(Pages):
    def become_ready(self) -> None:
        self.engine.reach(Phase.LOAD)


def speculating() -> Page:
    told = {"sglang:spec_num_draft_tokens": 4, "sglang:spec_accept_rate": 0.5}
    return Pages().after(texts("counter", {"sglang:spec_verify_calls_total": 1}) + texts("gauge", told))


# What an engine shows that the fixture's is not.
ELSEWHERE = {series.name: speculating for series in SHOWN if series.only_with} | {
    "vllm_shim:engine_phase": lambda: Loading().page()
}


def test_it_is_what_the_tables_say() -> None:
    vllm, sglang = re.findall(r"(?:vLLM|SGLang) (\d+\.\d+\.\d+)", PAGE)[:2]
    assert document.page(vllm, sglang) == PAGE, "run `make docs`"


def test_every_series_has_a_row_and_no_other_has_one() -> None:
    left_out = {f"{start}*" for start in (*ABSENT, *SAYS_NOTHING)} | SAID_ALREADY
    several = {PREFIX + one.name for one in FAMILIES}
    assert ROWS.keys() == {series.name for series in TABLE} | left_out | several


@pytest.mark.parametrize("series", SHOWN, ids=lambda series: series.name)
def test_a_row_names_the_labels_that_the_page_has(series: Series, ours: Page) -> None:
    page = ELSEWHERE[series.name]() if series.name in ELSEWHERE else ours
    samples = [one for ending in ("", "_count") for one in page.all(series.name + ending)]
    assert samples, "nothing shows its labels"
    cells = [cell.strip() for cell in ROWS[series.name].split(" | ")]
    named = set(re.findall("`(.*?)`", cells[3]))
    for one in samples:
        found = one.labels.keys() - set(series.own)
        assert found == named or (series.name == "vllm:cache_config_info" and found > named)


def test_a_source_reads_as_a_formula() -> None:
    for name, formula in {
        "vllm:kv_cache_usage_perc": "`sglang:token_usage`",
        "vllm:prefix_cache_hits_total": "`sglang:prefill_effective_tokens_total{mode=device_hit}`",
        "vllm:e2e_request_latency_seconds": "`sglang:e2e_request_latency_seconds`",
        "vllm:spec_decode_num_draft_tokens_total": "`sglang:spec_verify_calls_total` times "
        "(`sglang:spec_num_draft_tokens` - 1)",
        "vllm:num_requests_swapped": "always 0",
        "vllm:request_success_total": "counted by us",
    }.items():
        assert f"| {formula} |" in ROWS[name]


def test_the_readme_names_it() -> None:
    assert "docs/metrics.md" in (ROOT / "README.md").read_text()
