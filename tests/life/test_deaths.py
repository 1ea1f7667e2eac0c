"""Each way to die: the exit code and the last words, in the container's output and in the shim's log."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.life import memory
from tests.life.deaths import REALS, STAND_INS, Way, die, missing


def _ways(ways: tuple[Way, ...]) -> list[object]:
    return [pytest.param(way, id=way.name) for way in ways]


def judged(way: Way, folder: Path) -> None:
    if way.limit_bytes and not memory.can_be_made():
        pytest.skip("no memory cgroup can be made here: that takes root and a writable /sys/fs/cgroup")
    death = die(way, folder)
    assert (death.code, missing(way, death)) == (way.code, []), "\n".join(death.words)


@pytest.mark.stack
@pytest.mark.parametrize("way", _ways(STAND_INS))
def test_a_container_that_ends_by_itself_says_why_at_the_end_of_its_output_and_of_the_shims_log(
    way: Way, tmp_path: Path
) -> None:
    judged(way, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("way", _ways(REALS))
def test_the_last_words_of_a_real_engine_name_the_cause(way: Way, tmp_path: Path) -> None:
    judged(way, tmp_path)
