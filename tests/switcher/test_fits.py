"""Who fits beside whom."""

from __future__ import annotations

import pytest

from switcher.fits import fit, meet
from switcher.spec import Member, Mux
from tests.switcher.scene import member

WHOLE, OTHER = member("a"), member("b", devices=(1,))
HALF = [member(name, memory_gib=40.0) for name in "ab"]
MORE = member("c", memory_gib=41.0)
GROUP = [member(name, group="g") for name in "ab"]
HOST = [member(name, devices=()) for name in "abc"]
HOST_GROUPS = [[member(f"{group}-{name}", devices=(), group=group) for name in "ab"] for group in "ghi"]
TWO = member("d", devices=(0, 1), memory_gib=40.0)
ANYWHERE = member("e", devices=(), anywhere=True)


@pytest.mark.parametrize(
    ("members", "fits"),
    [
        ([], True),
        ([WHOLE], True),
        ([member("a", memory_gib=500.0)], True),  # alone: it is for the reader of the file to say
        ([WHOLE, OTHER], True),
        ([WHOLE, HALF[1]], False),
        (HALF, True),
        ([HALF[0], MORE], False),
        ([TWO, HALF[0]], True),
        ([TWO, *HALF], False),
        ([TWO, OTHER], False),
        (GROUP, True),
        ([*GROUP, HALF[0]], False),
        (HOST[:2], True),
        (HOST, False),
        ([*HOST[:2], WHOLE], True),
        ([ANYWHERE, WHOLE], False),
        ([ANYWHERE, HOST[0]], True),
        ([ANYWHERE, *HOST[:2]], False),
        ([ANYWHERE, member("f", devices=(), anywhere=True)], True),
        ([*HOST_GROUPS[0], HOST[0]], True),  # of two slots
        ([*HOST_GROUPS[0], *HOST[:2]], False),
        ([*HOST_GROUPS[0], *HOST_GROUPS[1]], True),
        ([*HOST_GROUPS[0], *HOST_GROUPS[1], *HOST_GROUPS[2]], False),
        ([member("e", devices=(), anywhere=True, group="g"), *GROUP], True),
        ([member("e", devices=(), anywhere=True, group="g"), *GROUP, OTHER], False),
    ],
)
def test_together(members: list[Member], *, fits: bool) -> None:
    mux = Mux(tuple(members), device_memory={0: 80.0, 1: 80.0}, slots=2)
    assert fit(members, mux) is fits
    assert fit(members[::-1], mux) is fits


def test_a_device_of_unknown_memory_takes_one_at_a_time() -> None:
    assert not fit(HALF, Mux(tuple(HALF)))


def test_who_shares_a_device_or_the_host_meets() -> None:
    assert meet(WHOLE, TWO)
    assert not meet(WHOLE, OTHER)
    assert meet(HOST[0], HOST[1])
    assert not meet(HOST[0], WHOLE)
    assert all(meet(ANYWHERE, other) and meet(other, ANYWHERE) for other in (WHOLE, OTHER, HOST[0]))
