"""Which samples of SGLang's go into which of ours: ranks, priorities, streams and processes, on texts made up."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from middleware.policy import Policy
from tests.middleware.metrics.pages import Page, Pages, texts

USAGE, DONE = "vllm:kv_cache_usage_perc", "vllm:prompt_tokens_total"


def ranks(dp: int | None, tp: int, pp: int = 0, ep: int = 0) -> str:
    of_dp = "" if dp is None else f'dp_rank="{dp}",'
    return f'{{{of_dp}engine_type="unified",moe_ep_rank="{ep}",pp_rank="{pp}",tp_rank="{tp}"}}'


def gauges(values: Mapping[str, float], name: str = "sglang:token_usage") -> str:
    return texts("gauge", {name + labels: value for labels, value in values.items()})


def retracted(values: Mapping[str, float]) -> str:
    return texts("counter", {f"sglang:num_retracted_requests_total{labels}": value for labels, value in values.items()})


def after(text: str) -> Page:
    return Pages().after(text)


def by_engine(page: Page, name: str = USAGE) -> dict[str, float]:
    return {one.labels["engine"]: one.value for one in page.all(name)}


def test_data_parallel_ranks_are_engines() -> None:
    page = after(gauges({ranks(0, 0): 3, ranks(1, 0): 5, ranks(10, 0): 7}))
    assert by_engine(page) == {"0": 3, "1": 5, "10": 7}
    assert [one.labels["engine"] for one in page.all(USAGE)] == ["0", "1", "10"], "in the order of numbers"


def test_a_histogram_of_ranks_is_one_of_each_engine() -> None:
    name, rest = "sglang:queue_time_seconds", 'tp_rank="0",pp_rank="0",moe_ep_rank="0"'
    samples: dict[str, float] = {}
    for dp, count in ((0, 2), (1, 9)):
        of_dp = f'dp_rank="{dp}",{rest}'
        samples |= {
            f'{name}_bucket{{{of_dp},le="1.0"}}': count - 1.0,
            f'{name}_bucket{{{of_dp},le="+Inf"}}': float(count),
        }
        samples |= {f"{name}_sum{{{of_dp}}}": 0.5, f"{name}_count{{{of_dp}}}": float(count)}
    page = after(texts("histogram", samples))
    for engine, count in (("0", 2), ("1", 9)):
        assert page.value("vllm:request_queue_time_seconds_bucket", engine=engine, le="1.0") == count - 1
        assert page.value("vllm:request_queue_time_seconds_count", engine=engine) == count


def test_what_the_tokenizer_tells_is_of_all_engines_and_what_is_taken_from_it_too() -> None:
    """It does not know which one served: a sum of its less each engine's own would be less than nothing."""
    e2e, queued = "sglang:e2e_request_latency_seconds", "sglang:queue_time_seconds"
    told = {f"{e2e}_sum": 10.0, f"{e2e}_count": 4.0} | {f"{queued}_sum{ranks(dp, 0)}": 1.0 + dp for dp in range(3)}
    page = after(texts("histogram", told))
    assert by_engine(page, "vllm:request_inference_time_seconds_sum") == {"0": 4}
    assert by_engine(page, "vllm:request_inference_time_seconds_count") == {"0": 4}
    assert by_engine(page, "vllm:request_queue_time_seconds_sum") == {"0": 1, "1": 2, "2": 3}


def test_tensor_parallel_ranks_that_all_tell_count_once() -> None:
    """--enable-metrics-for-all-schedulers."""
    page = after(gauges({ranks(None, tp): 3 for tp in range(8)}) + retracted({ranks(None, tp): 2 for tp in range(8)}))
    assert page.value(USAGE) == 3
    assert page.value("vllm:num_preemptions_total") == 2


def test_under_dp_attention_the_first_tensor_rank_of_each_engine_counts_whatever_its_number() -> None:
    """SGLang 0.5.23 tells the rank among all of them: that of the second engine begins with 4."""
    told = gauges({ranks(tp // 4, tp, ep=tp): 10 + tp for tp in range(8)})
    assert by_engine(after(told)) == {"0": 10, "1": 14}
    assert by_engine(after(gauges({ranks(0, 0): 1, ranks(1, 4): 2}))) == {"0": 1, "1": 2}


def test_a_cache_that_numbers_its_ranks_anew_does_not_hide_the_scheduler() -> None:
    """The hierarchical cache's own series have tensor rank 0 in each engine, where the scheduler's is 4."""
    evicted = 'sglang:evicted_tokens_total{cache_type="hi",dp_rank="1",pp_rank="0",tp_rank="0"}'
    page = after(gauges({ranks(0, 0): 1, ranks(1, 4): 2}) + texts("counter", {evicted: 5}))
    assert by_engine(page) == {"0": 1, "1": 2}


def test_pipeline_stages_count_once() -> None:
    stages = {ranks(None, tp, pp): 4 + pp for pp in range(3) for tp in range(2)}
    assert after(gauges(stages)).value(USAGE) == 4
    assert after(retracted(stages)).value("vllm:num_preemptions_total") == 4


def test_a_rank_that_tells_first_gives_way_to_the_one_that_counts() -> None:
    pages = Pages()
    assert by_engine(pages.after(gauges({ranks(None, 1): 8}))) == {"0": 8}
    assert by_engine(pages.after(gauges({ranks(None, 1): 8, ranks(None, 0): 3}))) == {"0": 3}


def test_a_gauge_by_priority_counts_by_its_total_alone() -> None:
    values = {'{priority="",tp_rank="0"}': 6.0, '{priority="0",tp_rank="0"}': 4.0, '{priority="9",tp_rank="0"}': 2.0}
    page = after(gauges(values) + gauges(values, "sglang:num_queue_reqs"))
    assert page.value(USAGE) == 6
    assert page.value("vllm:num_requests_waiting") == 6
    assert page.value("vllm:num_requests_waiting_by_reason", reason="capacity") == 6


def test_counters_by_priority_and_of_streams_are_summed() -> None:
    samples = {f'sglang:prompt_tokens_total{{is_streaming="{s}",priority="{p}"}}': n for s, p, n in
               (("true", "", 1.0), ("true", "5", 10.0), ("false", "", 100.0), ("false", "None", 1000.0))}  # fmt: skip
    assert after(texts("counter", samples)).value(DONE) == 1111


def test_a_histogram_of_streams_and_of_others_is_one() -> None:
    name = "sglang:time_to_first_token_seconds"
    samples = {}
    for streaming, count in (("true", 3.0), ("false", 4.0)):
        for le in ("0.001", "+Inf"):
            samples[f'{name}_bucket{{is_streaming="{streaming}",le="{le}"}}'] = count
        samples |= {
            f'{name}_sum{{is_streaming="{streaming}"}}': 0.25,
            f'{name}_count{{is_streaming="{streaming}"}}': count,
        }
    page = after(texts("histogram", samples))
    assert page.value("vllm:time_to_first_token_seconds_count") == 7
    assert page.value("vllm:time_to_first_token_seconds_sum") == 0.5
    assert page.value("vllm:time_to_first_token_seconds_bucket", le="+Inf") == 7


def test_processes_are_summed() -> None:
    samples = {f'sglang:generation_tokens_total{{pid="{pid}"}}': 5.0 for pid in (7, 8, 9)}
    assert after(texts("counter", samples)).value("vllm:generation_tokens_total") == 15


def test_what_waits_for_room_and_for_something_else_are_apart_and_together() -> None:
    names = (
        "num_queue_reqs",
        "num_grammar_queue_reqs",
        "num_decode_prealloc_queue_reqs",
        "num_decode_transfer_queue_reqs",
    )
    page = after("".join(gauges({ranks(None, 0): 10.0**n}, f"sglang:{name}") for n, name in enumerate(names)))
    assert page.value("vllm:num_requests_waiting") == 1111
    assert page.by("reason", "vllm:num_requests_waiting_by_reason") == {"capacity": 1, "deferred": 1110}


def test_the_sources_of_cached_tokens_have_vllms_names() -> None:
    told = {"device": 1.0, "total": 10.0, "host": 100.0, "storage": 1000.0}
    page = after(texts("counter", {f'sglang:cached_tokens_total{{cache_source="{s}"}}': n for s, n in told.items()}))
    by_source = page.by("source", "vllm:prompt_tokens_cached_by_source_total")
    assert by_source == {"device": 11, "host": 100, "disk": 1000}
    assert page.value("vllm:prompt_tokens_cached_total") == sum(by_source.values())


def test_the_prefix_caches_counters_are_made_of_what_was_prefilled() -> None:
    told = {"input": 1.0, "device_hit": 10.0, "host_hit": 100.0, "storage_hit": 1000.0, "of_tomorrow": 5.0}
    page = after(texts("counter", {f'sglang:prefill_effective_tokens_total{{mode="{m}"}}': n for m, n in told.items()}))
    for name in ("vllm:prefix_cache", "vllm:gpu_prefix_cache"):
        assert (page.value(f"{name}_queries_total"), page.value(f"{name}_hits_total")) == (1111, 10)
    external = "vllm:external_prefix_cache"
    assert (page.value(f"{external}_queries_total"), page.value(f"{external}_hits_total")) == (0, 1100)
    host = texts("gauge", {"sglang:hicache_host_total_tokens": 4096.0})
    page = after(
        texts("counter", {f'sglang:prefill_effective_tokens_total{{mode="{m}"}}': n for m, n in told.items()}) + host
    )
    assert page.value(f"{external}_queries_total") == 1101
    assert page.by("source", "vllm:prompt_tokens_by_source_total") == {
        "local_compute": 1, "local_cache_hit": 10, "external_kv_transfer": 1100,
    }  # fmt: skip


def test_labels_that_the_operator_adds_do_not_matter() -> None:
    """--extra-metric-labels."""
    page = after(gauges({'{cluster="a",tp_rank="0",zone="b c"}': 5}))
    assert page.value(USAGE) == 5
    assert {tuple(sorted(one.labels)) for one in page.all(USAGE)} == {("engine", "model_name")}


def test_the_model_is_called_by_its_first_served_name_whatever_sglang_calls_it() -> None:
    page = Pages(name='first "name"').after(gauges({'{model_name="inside",tp_rank="0"}': 5}))
    assert page.value(USAGE, model_name='first "name"') == 5
    vllms = [one for one in page.samples if one.name.startswith("vllm:")]
    assert {one.labels.get("model_name", 'first "name"') for one in vllms} == {'first "name"'}


def test_speculation_is_told_by_an_engine_that_speculates_alone() -> None:
    drafts = "vllm:spec_decode_num_drafts_total"
    assert Pages().after("").value(drafts) is None
    told = {
        "sglang:spec_verify_calls_total": 10.0,
        "sglang:generation_tokens_total": 42.0,
        "sglang:num_requests_total": 2.0,
    }
    page = after(texts("counter", told) + gauges({ranks(None, 0): 4}, "sglang:spec_num_draft_tokens"))
    assert page.value(drafts) == 10
    assert page.value("vllm:spec_decode_num_draft_tokens_total") == 30
    assert page.value("vllm:spec_decode_num_accepted_tokens_total") == 30


@pytest.mark.parametrize("length", [1_000_000, 10_000_000])
def test_the_bounds_of_a_long_model_are_written_alike_before_and_after_its_first_request(length: int) -> None:
    """prometheus_client writes a million as 1e+06."""
    pages = Pages(length=length)
    name = "sglang:prompt_tokens_histogram"
    before = pages.page().series["vllm:request_prompt_tokens"].bounds()
    assert before[0][-2:] == [f"1e+0{len(str(length)) - 1}", "+Inf"]
    told = {f'{name}_bucket{{le="{le}"}}': 1.0 for le in before[0]} | {f"{name}_sum": 1.0, f"{name}_count": 1.0}
    assert pages.after(texts("histogram", told)).series["vllm:request_prompt_tokens"].bounds() == before


def test_bounds_beyond_the_models_length_are_not_told() -> None:
    pages = Pages(length=300)
    told = {f'sglang:prompt_tokens_histogram_bucket{{le="{le}"}}': 1.0 for le in ("100.0", "200.0", "500.0", "+Inf")}
    (bounds,) = pages.after(texts("histogram", told)).series["vllm:request_prompt_tokens"].bounds()
    assert bounds == ["100.0", "200.0", "+Inf"]


def test_of_one_engine_what_does_not_wait_runs_whatever_its_gauges_say() -> None:
    """SGLang says 0 all through a prefill, and 1 behind the last request of its warm-up."""
    pages = Pages()
    for flying, told, running, waiting in ((0, 1, 0, 0), (5, 0, 5, 0), (12, 8, 8, 4), (2, 8, 0, 2)):
        pages.flow.active = flying
        page = pages.after(
            gauges({"": told}, "sglang:num_running_reqs")
            + gauges({"": 4.0 if flying in (12, 2) else 0.0}, "sglang:num_queue_reqs")
        )
        assert page.value("vllm:num_requests_running") == running
        assert page.value("vllm:num_requests_waiting") == waiting


def test_more_than_the_engine_takes_at_once_do_not_run() -> None:
    """Before SGLang has said that they wait."""
    pages = Pages(Policy(max_running=8))
    pages.flow.active = 12
    page = pages.after(gauges({"": 0}, "sglang:num_running_reqs"))
    assert (page.value("vllm:num_requests_running"), page.value("vllm:num_requests_waiting")) == (8, 4)


def test_of_several_engines_only_sglang_knows_which_has_what() -> None:
    names = ("sglang:num_running_reqs", "sglang:num_queue_reqs")
    page = after("".join(gauges({ranks(0, 0): 3, ranks(1, 0): 5}, name) for name in names))
    assert (
        by_engine(page, "vllm:num_requests_running") == by_engine(page, "vllm:num_requests_waiting") == {"0": 3, "1": 5}
    )
