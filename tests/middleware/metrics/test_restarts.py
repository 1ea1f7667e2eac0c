"""Counters from one engine to the next: a warm-up is not counted, nothing ever falls, and gauges are of now."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.engine import State
from tests.middleware.metrics.pages import RECORDED, Page, Pages, texts

PROMPTS = "vllm:prompt_tokens_total"
COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=4)
LABELS = ("", '{is_streaming="true"}', '{is_streaming="false"}')


def prompts(**counts: float) -> str:
    return texts("counter", {f'sglang:prompt_tokens_total{{is_streaming="{s}"}}': n for s, n in counts.items()})


def born(seconds: float) -> str:
    return texts("gauge", {'sglang:startup_time_seconds{phase="scheduler_e2e"}': seconds})


def die(pages: Pages) -> Page:
    pages.engine.become(State.GONE, "it died")
    return pages.page()


def test_what_an_engine_counts_before_it_is_ready_is_its_warm_up() -> None:
    pages = Pages()
    die(pages)
    pages.begin(prompts(false=6) + texts("gauge", {"sglang:token_usage": 0.5}))
    page = pages.page()
    assert page.value(PROMPTS) == 0
    assert page.value("vllm:kv_cache_usage_perc") == 0.5, "a gauge is of now"
    assert pages.after(prompts(false=10)).value(PROMPTS) == 4


def test_a_whole_engine_that_has_only_warmed_up_has_counted_nothing() -> None:
    pages = Pages()
    die(pages)
    pages.begin(RECORDED)
    page = pages.page()
    counted = [one for one in page.samples if one.name.startswith("vllm:") and one.name.endswith(("_total", "_bucket"))]
    assert counted
    assert not [one for one in counted if one.value]


def test_a_new_engine_goes_on_where_the_old_one_ended() -> None:
    pages = Pages()
    assert pages.after(born(1.0) + prompts(false=100)).value(PROMPTS) == 100
    assert die(pages).value(PROMPTS) == 100
    pages.begin(born(2.0) + prompts(false=6))
    assert pages.page().value(PROMPTS) == 100
    assert pages.after(born(2.0) + prompts(false=26)).value(PROMPTS) == 120


def test_what_a_new_engine_has_not_counted_yet_is_not_lost() -> None:
    """Labels appear with their first use: after a restart there are no streams until there is one."""
    pages = Pages()
    assert pages.after(prompts(true=50, false=100)).value(PROMPTS) == 150
    die(pages)
    pages.begin(prompts(false=6))
    assert pages.page().value(PROMPTS) == 150
    assert pages.after(prompts(false=7)).value(PROMPTS) == 151
    assert pages.after(prompts(false=7, true=2)).value(PROMPTS) == 153


def test_what_a_new_engine_counts_for_the_first_time_is_counted_in_full() -> None:
    pages = Pages()
    pages.after(prompts(false=100))
    die(pages)
    pages.begin(prompts(false=6))
    assert pages.after(prompts(false=6, true=9)).value(PROMPTS) == 109


def test_an_engine_that_was_only_silent_goes_on() -> None:
    """Its HTTP server hung for longer than the watch waits; what it counted meanwhile is no warm-up."""
    pages = Pages()
    pages.after(born(1.5) + prompts(false=100))
    die(pages)
    pages.begin(born(1.5) + prompts(false=140))
    assert pages.page().value(PROMPTS) == 140


def test_histograms_go_on_bound_by_bound() -> None:
    def told(low: float, all_of_them: float) -> str:
        name = "sglang:inter_token_latency_seconds"
        samples = {f'{name}_bucket{{le="0.01"}}': low, f'{name}_bucket{{le="+Inf"}}': all_of_them}
        return texts("histogram", samples | {f"{name}_sum": all_of_them, f"{name}_count": all_of_them})

    pages = Pages()
    pages.after(told(3, 5))
    die(pages)
    pages.begin(told(1, 1))
    page = pages.after(told(1, 4))
    for name in ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"):
        assert page.value(f"{name}_bucket", le="0.01") == 3
        assert page.value(f"{name}_bucket", le="+Inf") == page.value(f"{name}_count") == page.value(f"{name}_sum") == 8


def test_a_product_with_a_gauge_outlives_the_engine_that_told_it() -> None:
    name = "vllm:spec_decode_num_draft_tokens_total"
    verified = texts("counter", {"sglang:spec_verify_calls_total": 10.0})
    pages = Pages()
    assert pages.after(verified + texts("gauge", {"sglang:spec_num_draft_tokens": 4.0})).value(name) == 30
    assert die(pages).value(name) == 30
    pages.begin("")
    assert pages.page().value(name) == 30


@pytest.mark.parametrize("earlier", ["time_to_first_token_seconds", "queue_time_seconds"])
def test_a_difference_does_not_fall_while_a_request_runs(earlier: str) -> None:
    """SGLang tells the first token, and the end of the queue, when they are there, and the whole time at the end."""
    name = {"time_to_first_token_seconds": "decode", "queue_time_seconds": "inference"}[earlier]

    def told(whole: float, part: float) -> float | None:
        samples = {"sglang:e2e_request_latency_seconds_sum": whole, f"sglang:{earlier}_sum": part}
        return pages.after(texts("histogram", samples)).value(f"vllm:request_{name}_time_seconds_sum")

    pages = Pages()
    assert [told(*both) for both in ((0, 2), (10, 2), (10, 5), (14, 5))] == [0, 8, 8, 9]


def test_a_product_does_not_fall_with_its_factor() -> None:
    def told(drafted: float) -> float | None:
        verified = texts("counter", {"sglang:spec_verify_calls_total": 10.0})
        page = pages.after(verified + texts("gauge", {"sglang:spec_num_draft_tokens": drafted}))
        return page.value("vllm:spec_decode_num_draft_tokens_total")

    pages = Pages()
    assert [told(drafted) for drafted in (4, 3, 6)] == [30, 30, 50]


def test_gauges_of_the_dead_are_not_told() -> None:
    gauges = {"sglang:num_running_reqs": 2.0, "sglang:num_queue_reqs": 1.0, "sglang:token_usage": 0.5}
    pages = Pages()
    page = pages.after(texts("gauge", gauges))
    names = [name for name, series in page.series.items() if series.kind == "gauge" and name.startswith("vllm:num_req")]
    assert page.value("vllm:num_requests_waiting") == 1
    page = die(pages)
    assert {name for name in names if page.all(name)} == {"vllm:num_requests_swapped"}
    for name in (
        "vllm:kv_cache_usage_perc",
        "vllm:gpu_cache_usage_perc",
        "sglang:token_usage",
        "vllm:cache_config_info",
    ):
        assert not page.all(name)
    pages.begin(texts("gauge", {"sglang:token_usage": 0.7}))
    page = pages.page()
    assert page.value("vllm:kv_cache_usage_perc") == 0.7
    assert page.value("vllm:gpu_prefix_cache_hit_rate") is None, "this one has not told it yet"


def test_sglangs_own_counters_are_told_as_it_last_told_them() -> None:
    pages = Pages()
    pages.after(texts("counter", {"sglang:realtime_tokens_total": 5.0}))
    assert die(pages).value("sglang:realtime_tokens_total") == 5


def test_starts_are_counted() -> None:
    pages = Pages()
    for _ in range(2):
        die(pages)
        pages.begin("")
    assert pages.page().value("vllm_shim:engine_starts_total") == 3


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[COUNTS] * len(LABELS)), min_size=1, max_size=4))
def test_no_counter_ever_falls_whatever_the_engines_lives_were(lives: list[tuple[list[int], ...]]) -> None:
    pages, last = Pages(), 0.0
    for life, counts in enumerate(lives):
        whole = [0] * len(LABELS)
        for step in range(max(map(len, counts))):
            for place, grown in enumerate(counts):
                whole[place] += grown[step] if step < len(grown) else 0
            # A label is there from its first use on.
            told = {f"sglang:prompt_tokens_total{LABELS[n]}": float(all_) for n, all_ in enumerate(whole) if all_}
            text = born(float(life)) + texts("counter", told)
            if step == 0:
                pages.begin(text)
                assert pages.page().value(PROMPTS) == last
            else:
                value = pages.after(text).value(PROMPTS)
                assert value is not None
                assert value >= last
                last = value
        die(pages)
        assert pages.page().value(PROMPTS) == last


@pytest.mark.parametrize("earlier", ["time_to_first_token_seconds", "queue_time_seconds"])
def test_a_difference_goes_on_from_what_was_shown_though_requests_died_after_their_first_token(earlier: str) -> None:
    name = {"time_to_first_token_seconds": "decode", "queue_time_seconds": "inference"}[earlier]

    def told(whole: float, part: float, life: float) -> str:
        samples = {"sglang:e2e_request_latency_seconds_sum": whole, f"sglang:{earlier}_sum": part}
        return texts("histogram", samples) + born(life)

    def value(page: Page) -> float | None:
        return page.value(f"vllm:request_{name}_time_seconds_sum")

    pages = Pages()
    pages.begin(told(0, 0, 1))
    assert value(pages.after(told(100, 20, 1))) == 80
    assert value(pages.after(told(100, 660, 1))) == 80
    die(pages)
    pages.begin(told(0, 0, 2))
    assert value(pages.after(told(100, 20, 2))) == 160
