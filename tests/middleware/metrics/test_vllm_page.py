"""The judge: /metrics of a real vLLM 0.33.0, and ours over what a real SGLang told after the same load. Name by name,
type by type, label by label, bound by bound: the same, absent with a reason, or in the list below with one.
"""

from __future__ import annotations

import pytest

from middleware.metrics.record import How
from middleware.metrics.table import ABSENT, TABLE
from tests.middleware.metrics.pages import OF_VLLM, Page
from tests.server import ROOT

NAMES = ROOT / "tests/fixtures/vllm_metric_names.txt"
BOUNDS_OF_SGLANG = "SGLang has no setting for the bounds of what its scheduler measures"
NO_BOUNDS = "SGLang does not measure it by request: the sum and the count are computed, and no bound can be"
OTHER_BOUNDS = {
    "vllm:request_queue_time_seconds": BOUNDS_OF_SGLANG,
    "vllm:request_prefill_time_seconds": BOUNDS_OF_SGLANG,
    "vllm:request_decode_time_seconds": NO_BOUNDS,
    "vllm:request_inference_time_seconds": NO_BOUNDS,
}
# vLLM makes these where it is asked for them, and the recorded one was not.
ON_DEMAND = {
    "vllm:spec_decode_num_drafts",
    "vllm:spec_decode_num_draft_tokens",
    "vllm:spec_decode_num_accepted_tokens",
}
VLLM = Page(OF_VLLM)
WITHOUT = {series.name.removesuffix("_total"): series.why for series in TABLE if series.how is How.ABSENT}
# A histogram whose name ends so, alone among them.
WITHOUT["vllm:iteration_tokens_total"] = WITHOUT["vllm:iteration_tokens"]


def is_absent(name: str) -> bool:
    return name.removesuffix("_created") in WITHOUT


@pytest.mark.parametrize("name", [name for name in VLLM.series if not is_absent(name)])
def test_a_series_of_vllms_is_here_with_its_type_labels_and_bounds(name: str, ours: Page) -> None:
    expected, found = VLLM.series[name], ours.series.get(name)
    assert found is not None, "neither there nor absent with a reason"
    assert found.kind == expected.kind
    assert found.shapes() == expected.shapes()
    bounds, every = expected.bounds(), found.bounds()
    if name in OTHER_BOUNDS:
        assert every != bounds, "then it is no difference any more"
    else:
        assert all(own == bounds[0] for own in every)


@pytest.mark.parametrize("label", ["reason", "source", "finished_reason", "sleep_state", "engine", "model_name"])
def test_a_label_has_the_values_that_it_has_in_vllm(label: str, ours: Page) -> None:
    def values(page: Page) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in page.samples:
            in_vllm = one.name.startswith("vllm:") and not is_absent(one.name.removesuffix("_total"))
            if in_vllm and label in one.labels and not one.name.endswith(("_bucket", "_sum", "_count")):
                found.setdefault(one.name, []).append(one.labels[label])
        return found

    expected = values(VLLM)
    assert expected
    assert {name: found for name, found in values(ours).items() if name in expected} == expected


def test_what_is_absent_has_a_reason_and_is_not_here(ours: Page) -> None:
    assert all(WITHOUT.values())
    assert not [name for name in ours.series if is_absent(name)]


def test_what_vllm_does_not_have_is_of_an_older_vllm_and_says_so(ours: Page) -> None:
    older = {series.name.removesuffix("_total") for series in TABLE if series.versions}
    more = {name for name in ours.series if name.startswith(("vllm:", "http_")) and name not in VLLM.series}
    assert {name.removesuffix("_created") for name in more} - ON_DEMAND == older & set(ours.series)
    written = {
        series.name.removesuffix("_total") for series in TABLE if series.versions and series.how is not How.ABSENT
    }
    assert written - set(ours.series) == {"vllm:spec_decode_draft_acceptance_rate"}, "this engine does not speculate"


def test_every_metric_that_vllms_code_names_is_in_the_table_or_absent_with_its_kin() -> None:
    named = {line for line in NAMES.read_text().splitlines() if not line.startswith("#")}
    table = {series.name.removesuffix("_total") for series in TABLE if series.name.startswith("vllm:")}
    unknown = {name for name in named if name.removesuffix("_total") not in table}
    assert not [name for name in unknown if not name.startswith(tuple(ABSENT))]
    assert not [start for start in ABSENT if not any(name.startswith(start) for name in unknown)], "nobody has it"
    older = {series.name.removesuffix("_total") for series in TABLE if series.versions}
    assert not older & {name.removesuffix("_total") for name in named}, "vLLM 0.33.0 has it"


def test_the_configuration_of_the_cache_is_told_as_vllm_tells_it(ours: Page) -> None:
    (expected,), (found,) = VLLM.all("vllm:cache_config_info"), ours.all("vllm:cache_config_info")
    assert found.value == 1.0
    same = ("enable_prefix_caching", "engine", "cache_dtype", "is_attention_free", "sliding_window", "num_cpu_blocks")
    assert {name: found.labels[name] for name in same} == {name: expected.labels[name] for name in same}
    pages, size = ours.value("sglang:num_pages"), ours.value("sglang:page_size")
    assert pages
    assert size
    assert (float(found.labels["num_gpu_blocks"]), float(found.labels["block_size"])) == (pages, size)
    assert float(found.labels["kv_cache_size_tokens"]) == pages * size


def test_the_process_tells_what_a_vllm_process_tells(ours: Page) -> None:
    for name in ("process_start_time_seconds", "process_resident_memory_bytes", "process_open_fds"):
        assert ours.value(name)
    assert ours.value("python_info", implementation="CPython") == 1.0
