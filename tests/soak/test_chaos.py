"""An hour's worth of trouble in ten minutes: round after round of chaos, with seeds that no run before has had unless
CHAOS_SEED says so.
"""

from __future__ import annotations

import pytest

from tests.chaos.playing import played

pytestmark = pytest.mark.soak
ROUNDS = 10
PATIENCE = 3600.0


def test_ten_rounds_of_chaos() -> None:
    print(played("--rounds", str(ROUNDS), seconds=PATIENCE))
