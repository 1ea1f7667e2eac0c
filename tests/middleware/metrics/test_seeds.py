"""Which series are there before anybody counts, and which never are: those that a client could make."""

from __future__ import annotations

from tests.middleware.metrics.pages import Pages, texts
from tests.middleware.metrics.test_ranks import DONE, by_engine, gauges, ranks, retracted


def test_before_the_models_length_is_known_no_bound_of_lengths_is_told_that_could_vanish() -> None:
    pages = Pages()
    pages.metrics.counts.engine_starts.values.clear()
    pages.model.context_length = None
    for name in ("vllm:request_prompt_tokens", "vllm:request_params_max_tokens"):
        assert pages.page().series[name].bounds() == [["+Inf"]]
    pages.model.context_length = 20
    for name in ("vllm:request_prompt_tokens", "vllm:request_params_max_tokens"):
        assert pages.page().series[name].bounds() == [["1.0", "2.0", "5.0", "10.0", "20.0", "+Inf"]]


def test_what_a_scheduler_counts_is_there_for_each_engine_whichever_tells_it_first() -> None:
    pages, name = Pages(), "vllm:num_preemptions_total"
    all_ranks = gauges({ranks(0, 0): 1, ranks(1, 1): 2, ranks(2, 2): 3})
    assert by_engine(pages.after(all_ranks), name) == {"0": 0}
    page = pages.after(all_ranks + retracted({ranks(1, 1): 4}))
    assert by_engine(page, name) == {"0": 0, "1": 4, "2": 0}
    assert by_engine(page, DONE) == {"0": 0}, "the tokenizer does not know which one served"


def test_priorities_that_clients_choose_make_no_series() -> None:
    """--scheduling-policy priority: any int64 is one."""
    pages = Pages()
    samples = {f'sglang:prompt_tokens_total{{priority="{p}",is_streaming="true"}}': 1.0 for p in range(300)}
    mine = {f'sglang:realtime_tokens_total{{priority="{p}",zone="priority=\\"5\\""}}': 2.0 for p in ("", *range(50))}
    depths = {f'sglang:gen_throughput{{priority="{p}"}}': 3.0 for p in ("", *range(50))}
    page = pages.after(texts("counter", samples | mine) + texts("gauge", depths))
    assert page.value(DONE) == 300
    assert page.value("sglang:realtime_tokens_total", zone='priority="5"', priority="") == 102
    assert page.value("sglang:gen_throughput") == 3
    assert len(pages.metrics._known.ledger.layout._samples) == 3


def test_the_plan_of_a_new_sample_is_made_before_the_loop_has_it() -> None:
    layout = Pages().metrics._known.ledger.layout
    before = layout.plan
    learned = layout.unseen(["sglang:token_usage"])
    assert layout.plan is before
    assert "sglang:token_usage" not in before.uses
    layout.learn(learned)
    assert layout.plan is learned.plan
    assert "sglang:token_usage" in layout.plan.uses
