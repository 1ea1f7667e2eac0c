"""What is made of the measurements: ratios within a round, the targets' verdicts, the table and the pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bench import pictures, table
from bench.contenders import MIDDLEWARE, ROUTER, STACK
from bench.figures import Sheet
from bench.quantiles import quantile, rounded, shown
from bench.real import Real
from bench.rounds import Collected
from bench.startup import Starts
from bench.targets import TARGETS
from tests.server import ROOT


def collected() -> Collected:
    one = Collected()
    for number, (ours, theirs) in enumerate(((0.05, 0.1), (0.08, 0.1))):
        one.take("direct", number, Sheet({"ttft1_p50_ms": 0.5, "ttft1_p99_ms": 0.5, "ttft64_p50_ms": 2.0}))
        one.take(MIDDLEWARE.name, number, Sheet({"small_cpu_ms": ours, "chunk64_us": 11.0}))
        one.take(STACK.name, number, Sheet({"ttft1_p50_ms": 1.5, "ttft1_p99_ms": 2.0, "ttft64_p50_ms": 20.0}))
        one.take(ROUTER.name, number, Sheet({"small_cpu_ms": theirs, "chunk64_us": 10.0}))
    # A round that gave nothing.
    one.take(ROUTER.name, 2, Sheet({}, ["sglang-router 0.3.2, small requests: 3 of 9 went wrong"]))
    one.take(MIDDLEWARE.name, 2, Sheet({"small_cpu_ms": 9.0}))
    one.gaps = {"direct": [0.001, 0.021, 0.041], "stack": [0.002, 0.022, 0.043], "haproxy-defaults": [0.2, 0.42]}
    return one


def test_ratios_and_differences_are_of_the_same_round() -> None:
    assert collected().ratios(MIDDLEWARE.name, ROUTER.name, "small_cpu_ms") == pytest.approx([0.5, 0.8])
    assert collected().added(STACK.name, "ttft1_p50_ms") == [1.0, 1.0]


def test_each_target_says_whether_it_is_met() -> None:
    rollouts = {"direct": [10.0, 10.0], "ours": [9.0, 9.2]}
    real = Real({"direct": [100.0, 100.0], "ours": [99.0, 97.0]}, {"direct": [50.0], "ours": [51.0]}, rollouts)
    verdicts = {target.what: target.judged(collected(), real)[3] for target in TARGETS}
    assert verdicts["middleware: CPU of a small request, to sglang-router's"] == "**no**"
    assert verdicts["whole stack: TTFT added to one stream, p50"] == "yes"
    assert verdicts["whole stack: TTFT added to 64 at once, p50"] == "**no**"
    assert verdicts["whole stack: throughput of the real engine, to direct"] == "yes"
    assert verdicts["whole stack: rollouts a second of the real engine, to direct"] == "**no**"
    assert verdicts["middleware: CPU of a 1 MB request, to sglang-router's"] == "?"


def test_the_table_shows_what_there_is() -> None:
    one = collected()
    text = table.markdown({"date": "today"}, one, Starts([0.2], [0.1]), None)
    assert "| our whole stack | - | +1.00 / +1.50 |" in text
    assert "2.0 times supervisord alone" in text
    assert "3 of 9 went wrong" in text
    machine = {"date": "today", "processor": "a fast one", "kernel": "Linux", "run": "3 rounds"}
    assert "| our middleware | 0.080 |" in table.summary(machine, one)
    rows = [line for line in text.splitlines() if line.startswith("| our middleware |")]
    assert rows[0].startswith("| our middleware | 0.080 (0.050 to 9.00) |")


def test_the_readme_shows_the_summary_of_the_last_run() -> None:
    summary = (ROOT / "bench/results/summary.md").read_text().strip()
    assert "| our whole stack |" in summary
    assert summary in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("one", [collected(), Collected()])
def test_the_pictures_are_well_formed(one: Collected) -> None:
    for picture in (pictures.cost(one, "here & now"), pictures.gaps(one.gaps, 20.0)):
        ET.fromstring(picture)


def test_numbers_have_as_many_digits_as_they_deserve() -> None:
    assert [rounded(value) for value in (1234.5, 12.34, 1.234, 0.01234, 0.0)] == [
        "1,234",
        "12.3",
        "1.23",
        "0.012",
        "0.00",
    ]
    assert shown([]) == "-"
    assert shown([1.0, 3.0, 2.0]) == "2.00 (1.00 to 3.00)"
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
