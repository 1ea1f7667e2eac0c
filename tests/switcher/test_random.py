"""A fixed part of the random operations; `make soak` runs 10,000 of a new seed."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.switcher.machine import EndingMachine, SwitcherMachine

OPERATIONS = 50
COMMON = settings(
    stateful_step_count=OPERATIONS,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def test_random_operations_break_nothing() -> None:
    run_state_machine_as_test(SwitcherMachine, settings=settings(COMMON, max_examples=25, derandomize=True))


def test_the_end_of_all_switches_at_a_random_moment_breaks_nothing() -> None:
    run_state_machine_as_test(EndingMachine, settings=settings(COMMON, max_examples=10, derandomize=True))


@pytest.mark.soak
def test_ten_thousand_random_operations_break_nothing() -> None:
    """SWITCHER_SEED=... plays them again."""
    drawn = int(os.environ.get("SWITCHER_SEED") or random.SystemRandom().randrange(100_000))
    print(f"SWITCHER_SEED={drawn}")
    machine = seed(drawn)(type("SeededMachine", (SwitcherMachine,), {}))
    run_state_machine_as_test(machine, settings=settings(COMMON, max_examples=10_000 // OPERATIONS))
