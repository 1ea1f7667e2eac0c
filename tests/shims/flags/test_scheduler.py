"""How many requests and tokens, who waits, who comes first."""

from __future__ import annotations

from typing import Any

import pytest

from shims.exceptions import Refused
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_parallel import DENSE, values


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--max-num-seqs 64 --max-num-active-seqs 16", {"--max-running-requests": ["16"]}),
        ("--max-num-batched-tokens 5000", {"--chunked-prefill-size": ["4992"], "--max-prefill-tokens": ["5000"]}),
        ("--max-num-batched-tokens 5000 --block-size 128", {"--chunked-prefill-size": ["4992"]}),
        ("--max-num-batched-tokens 8000 --block-size 128", {"--chunked-prefill-size": ["7936"]}),
        ("--max-num-batched-tokens 50", {"--chunked-prefill-size": ["50"]}),
        ("--no-enable-chunked-prefill", {"--chunked-prefill-size": ["-1"], "--max-prefill-tokens": None}),
        ("--max-num-seqs 256 --max-num-queued-reqs 300", {"--max-queued-requests": ["44"]}),
        ("-dp 2 --max-num-seqs 100 --max-num-queued-reqs 300", {"--max-queued-requests": ["50"]}),
        ("--max-num-seqs 256 --max-num-queued-reqs 100", {"--max-queued-requests": ["1"]}),
        (
            "--scheduling-policy priority",
            {
                "--enable-priority-scheduling": [],
                "--schedule-low-priority-values-first": [],
                "--default-priority-value": ["0"],
                "--disable-priority-preemption": [],
            },
        ),
        ("--scheduling-policy fcfs", {"--enable-priority-scheduling": None}),
        ("--no-async-scheduling", {"--disable-overlap-schedule": []}),
        ("--async-scheduling", {"--disable-overlap-schedule": None}),
        ("--disable-hybrid-kv-cache-manager", {"--disable-hybrid-swa-memory": []}),
        ("--stream-interval 10", {"--stream-interval": ["10"]}),
        ("--watermark 0.01 --num-scheduler-steps 8", {"--watermark-config": None}),
    ],
)
def test_a_flag_becomes(words: str, expected: dict[str, Any], make_plan: MakePlan) -> None:
    got = values(make_plan("serve", "m", *words.split(), model_config=DENSE))
    assert {name: got.get(name) for name in expected} == expected


def test_the_middleware_is_told_of_priorities_and_of_waiting_tokens(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", *["--scheduling-policy", "priority", "--max-num-queued-tokens", "32k"])
    assert made.policy.max_queued_tokens == 32000
    assert any("--max-num-queued-tokens" in warning for warning in made.warnings)


@pytest.mark.parametrize("words", ["--max-num-queued-reqs 10", "--max-num-queued-reqs 10 --max-num-seqs 10"])
def test_a_limit_that_holds_only_in_part_is_said(words: str, make_plan: MakePlan) -> None:
    assert any("--max-num-queued-reqs" in warning for warning in make_plan("serve", "m", *words.split()).warnings)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--max-num-seqs 0", "give 1 or more"),
        ("--max-num-batched-tokens -1", "give 1 or more"),
        ("--max-num-queued-reqs 0", "every request"),
        ("--max-num-queued-tokens -1", "give 0 or more"),
        ("--scheduler-cls a.B", "class of vLLM's"),
        ("--stream-interval 0", "give 1 or more"),
    ],
)
def test_is_refused(words: str, message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message):
        make_plan("serve", "m", *words.split())
