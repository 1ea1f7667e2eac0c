"""SGLang's text as it may come: odd labels, odd numbers, times, families of tomorrow, and no such text at all."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from middleware.metrics.exposition import head, read
from middleware.metrics.layout import Layout
from middleware.metrics.table import TABLE
from tests.middleware.metrics.pages import RECORDED, Page, Pages, texts

ODD = ['say "hi"', "back\\slash", "two\nlines", "{braces}", "} 5", "a b", "a,b=c", "# HELP", "", "é", '\\"', "a\tb"]
LABEL_VALUES = st.text(max_size=12) | st.sampled_from(ODD)
# Bytes that mean something there, and parts of real lines.
PIECES = st.sampled_from([b'{}",=\\ \n#'[n : n + 1] for n in range(9)]) | st.sampled_from(RECORDED.split())
GARBAGE = (
    st.binary(max_size=60) | st.lists(PIECES, max_size=12).map(b" ".join) | st.lists(PIECES, max_size=9).map(b"".join)
)


@pytest.mark.parametrize("value", ODD)
def test_an_odd_label_neither_hides_a_sample_nor_breaks_the_page(value: str) -> None:
    sample = head("sglang:token_usage", (("tp_rank", "0"), ("zone", value)))
    other = head("sglang:of_tomorrow", (("zone", value),))
    page = Pages().after(f"# TYPE sglang:token_usage gauge\n{sample} 3\n# TYPE sglang:of_tomorrow gauge\n{other} 4\n")
    assert page.value("vllm:kv_cache_usage_perc") == 3
    assert page.value("sglang:token_usage", zone=value) == 3
    assert page.value("sglang:of_tomorrow", zone=value) == 4


@settings(max_examples=200)
@given(LABEL_VALUES.filter(lambda value: "\r" not in value))
def test_any_value_of_a_label_of_ours_is_read_back_as_it_was(value: str) -> None:
    (one,) = Page(f"{head('a', (('b', value),))} 1\n").samples
    assert one.labels == {"b": value}


@pytest.mark.parametrize(("text", "value"), [("+Inf", math.inf), ("-Inf", -math.inf), ("1e+06", 1e6), ("0.1", 0.1)])
def test_a_number_is_told_as_it_was(text: str, value: float) -> None:
    page = Pages().after(texts("gauge", {"sglang:token_usage": text}))
    assert page.value("vllm:kv_cache_usage_perc") == value


def test_what_is_no_number_stays_none() -> None:
    found = Pages().after(texts("gauge", {"sglang:token_usage": "NaN"})).value("vllm:kv_cache_usage_perc")
    assert found is not None
    assert math.isnan(found)


@pytest.mark.parametrize(
    "sample", ["sglang:token_usage", 'sglang:token_usage{zone="a b"}', 'sglang:token_usage{zone="} 5"}']
)
def test_a_time_behind_a_value_is_no_part_of_it(sample: str) -> None:
    page = Pages().after(f"# TYPE sglang:token_usage gauge\n{sample} 0.25 1795254044470\n")
    assert page.value("vllm:kv_cache_usage_perc") == 0.25


def test_a_comment_does_not_change_what_the_samples_behind_it_are() -> None:
    told = "# TYPE sglang:prompt_tokens_total counter\n# says the operator\nsglang:prompt_tokens_total 7\n# EOF\n"
    assert Pages().after(told).value("vllm:prompt_tokens_total") == 7


def test_families_that_nobody_knows_are_passed_on() -> None:
    told = '# HELP sglang:new_total New.\n# TYPE sglang:new_total counter\nsglang:new_total{a="b"} 3.0\n'
    told += "# TYPE sglang:odd_seconds summary\nsglang:odd_seconds_count 2.0\nsglang:odd_seconds_sum 1.5\n"
    page = Pages().after(told + "no_type_at_all 5\n")
    assert told in page.text
    assert page.value("sglang:new_total", a="b") == 3


@pytest.mark.parametrize("name", ["vllm:kv_cache_usage_perc", "http_requests_total", "process_open_fds", "python_info"])
def test_what_we_write_ourselves_is_not_written_twice(name: str) -> None:
    page = Pages().after(RECORDED + texts("gauge", {name: 77.0}).encode())
    assert page.value("vllm:prompt_tokens_total") == 591, "the text was read"
    assert 77.0 not in [one.value for one in page.all(name)]


def test_what_is_said_under_vllms_names_is_not_said_again() -> None:
    page = Pages().after(RECORDED)
    assert "sglang:e2e_request_latency_seconds" not in page.series
    assert not [name for name in page.series if name.startswith("sglang:routing_key_")]
    for name in ("sglang:gen_throughput", "sglang:realtime_tokens", "sglang:per_stage_req_latency_seconds"):
        assert name in page.series


@pytest.mark.parametrize(
    "line",
    [
        b'sglang:token_usage{tp_rank="first"} 1',
        b'sglang:token_usage{dp_rank="",tp_rank="0"} 1',
        b'sglang:token_usage{dp_rank="' + b"9" * 5000 + b'",tp_rank="0"} 1',
        b"sglang:queue_time_seconds_bucket 1",
        b'sglang:queue_time_seconds_bucket{le="many"} 1',
    ],
)
def test_a_sample_with_an_odd_label_is_left_out_alone_and_said_once(
    line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    pages = Pages()
    for _ in range(3):
        page = pages.after(RECORDED + line + b"\n")
        assert page.value("vllm_shim:engine_metrics_fresh") == 1
        assert page.value("vllm:prompt_tokens_total") == 591
        assert page.value("vllm:kv_cache_usage_perc", engine="0") == 0
    assert sum("is left out of ours" in one.message for one in caplog.records) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"sglang:token_usage",
        b"sglang:token_usage many",
        b'sglang:token_usage{a="b} 1',
        b"\xff 1",
        b"<html>502 Bad Gateway</html>",
    ],
)
def test_a_text_that_cannot_be_read_takes_nothing_away(line: bytes) -> None:
    pages = Pages()
    pages.after(RECORDED)
    page = pages.after(RECORDED + line + b"\n")
    assert page.value("vllm_shim:engine_metrics_fresh") == 0
    assert page.value("vllm:prompt_tokens_total") == 591
    page = pages.after(RECORDED)
    assert page.value("vllm_shim:engine_metrics_fresh") == 1
    assert page.value("vllm:kv_cache_usage_perc") == 0


@settings(max_examples=300)
@given(GARBAGE)
def test_of_garbage_nothing_but_a_value_error_is_raised(garbage: bytes) -> None:
    layout = Layout(TABLE, {})
    try:
        text = read(garbage)
        layout.learn(layout.unseen((*text.growing, *text.gauges)))
    except ValueError:
        assert layout.plan.uses == {}, "nothing was learned"


@settings(max_examples=25, deadline=None)
@given(st.integers(), GARBAGE)
def test_garbage_in_the_middle_of_a_text_loses_nothing_that_was_known(seed: int, garbage: bytes) -> None:
    """What can be read all the same is believed: a counter may only have grown."""
    pages = Pages()
    before = pages.after(RECORDED)
    place = random.Random(seed).randrange(len(RECORDED))
    pages.says(RECORDED[:place] + garbage + RECORDED[place:])
    # What is passed on is as good as it came; ours are asked for alone.
    text = pages.raw()
    ours = Page("".join(line + "\n" for line in text.splitlines() if "vllm:" in line))
    for one in before.samples:
        if one.name.startswith("vllm:") and one.name.endswith("_total"):
            assert ours.value(one.name, **one.labels) is not None
    again = pages.after(RECORDED)
    assert again.value("vllm_shim:engine_metrics_fresh") == 1
    assert again.value("vllm:prompt_tokens_total") == 591
