"""One round of chaos with a fixed seed; `make soak` plays others."""

from __future__ import annotations

import pytest

from tests.chaos.playing import played

pytestmark = pytest.mark.stack
SEED = 11
SECONDS = 30
PATIENCE = 400.0  # a machine may do other things too


def test_whatever_is_killed_or_stopped_health_is_true_and_every_request_ends_whole_or_with_one_clear_error() -> None:
    print(played("--seed", str(SEED), "--seconds", str(SECONDS), seconds=PATIENCE))
