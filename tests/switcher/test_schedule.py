"""The schedule's decisions as a table: what is seen at the hundredth second, and who wakes, leaves or comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from switcher.schedule import Decision, decide
from switcher.spec import Member, Mux, Tier
from switcher.states import State
from switcher.view import NEVER, Seen, View, Want
from tests.switcher.scene import member

NOW = 100.0
MEMORY = {0: 80.0, 1: 80.0}

A, B, C = member("a"), member("b"), member("c")
PINNED = member("a", pin=True)
BOTH = member("b", devices=(0, 1))
SMALL = [member(name, memory_gib=30) for name in "abc"]


def awake(of: Member = A, since: float = 0.0, **words: object) -> Seen:
    return Seen(of, State.AWAKE, awake_since=since, **{"idle_since": since} | words)  # type: ignore[arg-type]


def waiting(of: Member = B, seconds: float = 1.0, state: State = State.ASLEEP, **words: object) -> Seen:
    return Seen(of, state, queued=1, oldest=NOW - seconds, **words)  # type: ignore[arg-type]


def going(of: Member = A, state: State = State.SLEEPING, **words: object) -> Seen:
    return Seen(of, state, **words)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Row:
    what: str
    seen: tuple[Seen, ...]
    wake: str = ""
    away: str = ""
    back: str = ""
    look_at: float = NEVER
    blocked: dict[str, str] = field(default_factory=dict)
    mux: Mux = Mux((), device_memory=MEMORY)  # noqa: RUF009 - it is frozen


BUSY: dict[str, Any] = {"in_flight": 1}
PRIORITY = member("a", priority=4)
PATIENT = member("b", max_wait_seconds=1000.0)
STEPPING: dict[str, Any] = {"round_trip": 10.0}

TABLE = (
    Row("nobody asks, nothing happens", (awake(), Seen(B, State.ASLEEP))),
    Row("who waits wakes where there is place", (waiting(A),), wake="a"),
    Row("the stopped are started like the sleeping are woken", (waiting(A, state=State.STOPPED),), wake="a"),
    Row("nobody is tried in its backoff", (waiting(A, state=State.BACKOFF),)),
    Row("the idle leaves for who waits", (awake(), waiting()), away="a"),
    Row("who waits wakes when the other is gone", (Seen(A, State.ASLEEP), waiting()), wake="b"),
    Row("and not before", (going(), waiting())),
    Row("nor while it drains", (going(state=State.DRAINING, yields=True, **BUSY), waiting())),
    Row("nor while it starts", (going(state=State.STARTING), waiting()), look_at=129.0),
    # The least residency.
    Row("not before three times its switch", (awake(since=80, **BUSY, **STEPPING), waiting()), look_at=110),
    Row("the other's patience is a bound of it", (awake(since=60, **BUSY, round_trip=50), waiting()), away="a"),
    Row("once is enough where the other has waited too long", (
        awake(since=91, **BUSY, **STEPPING), waiting(seconds=31),
    ), look_at=101),
    Row("idle or not", (awake(since=91, idle_since=99, **STEPPING), waiting(seconds=31)), look_at=101),
    Row("which is so", (awake(since=90, **BUSY, **STEPPING), waiting(seconds=31)), away="a"),
    Row("but for a residency that was given, too", (
        awake(member("a", min_residency_seconds=15.0), since=90, **BUSY), waiting(seconds=31),
    ), look_at=105),
    Row("idle for one switch is enough", (awake(since=80, idle_since=91, **STEPPING), waiting()), look_at=101),
    Row("it is enough", (awake(since=80, idle_since=90, **STEPPING), waiting()), away="a"),
    Row(
        "but for a residency that was given",
        (awake(member("a", min_residency_seconds=25.0), since=80, idle_since=85), waiting()),
        look_at=105,
    ),
    # Shares of the time.
    Row("five seconds of a short switch", (awake(since=96, **BUSY), waiting()), look_at=101),
    Row("as many times as its priority", (awake(PRIORITY, since=85, **BUSY), waiting()), look_at=105),
    Row("until the other has waited too long", (awake(PRIORITY, since=85, **BUSY), waiting(seconds=28)), look_at=102),
    Row("and then at once", (awake(PRIORITY, since=85, **BUSY), waiting(seconds=30)), away="a"),
    Row("who was away longest is next", (
        waiting(A, left=50), waiting(B, left=40), waiting(C, left=60),
    ), wake="b", look_at=129),
    Row("of those the first who came", (waiting(A, 1), waiting(B, 3), waiting(C, 2)), wake="b", look_at=128),
    Row("who waited too long is before them", (waiting(A, left=40), waiting(B, 31, left=60)), wake="b", look_at=129),
    # Who is not put away.
    Row("the pinned is not", (awake(PINNED), waiting()), blocked={"b": "its devices are taken by a, which is pinned"}),
    Row("nor one with a reason", (awake(busy="it learns"), waiting(seconds=50)), blocked={
        "b": "a cannot be put away now: it learns",
    }),
    Row("nor one on another device", (awake(member("a", devices=(1,))), waiting()), wake="b"),
    Row("only as many as must", (awake(SMALL[0]), awake(SMALL[1], since=1, **BUSY), waiting(SMALL[2])), away="a"),
    Row("as many as must", (awake(), awake(member("c", devices=(1,))), waiting(BOTH)), away="a c"),
    Row("none before all may", (
        awake(), awake(member("c", devices=(1,)), since=99, **BUSY), waiting(BOTH),
    ), look_at=104),
    # One that needs two devices is not starved by those that need one.
    Row("small ones wait when a big one waited too long", (
        awake(since=99.5, **BUSY), Seen(member("c", devices=(1,)), State.STOPPED), waiting(BOTH, seconds=31),
        waiting(member("d", devices=(1,))),
    ), look_at=100.5),
    Row("and not before", (
        awake(since=99, **BUSY), waiting(BOTH, seconds=1), waiting(member("d", devices=(1,)), left=5),
    ), wake="d", look_at=104),
    Row("two that fit together wake together", (waiting(SMALL[0]), waiting(SMALL[1])), wake="a b"),
    # Undone.
    Row("a drain for who has left is undone", (going(state=State.DRAINING, yields=True, **BUSY),), back="a"),
    Row("not one by order", (going(state=State.DRAINING, **BUSY),)),
    Row("one that must not be put away comes back", (
        going(state=State.DRAINING, yields=True, busy="it learns"), waiting(),
    ), back="a"),
    # Without requests.
    Row("a preload takes the place of one that nobody used", (
        awake(since=99, used=False, round_trip=50), Seen(B, State.STOPPED, want=Want.PRELOAD),
    ), away="a"),
    Row("and not of one at work", (awake(**BUSY), Seen(B, State.STOPPED, want=Want.PRELOAD))),
    Row("who returns puts nobody away", (awake(), Seen(B, State.ASLEEP, want=Want.RETURN))),
    Row("who returns comes to a free place", (Seen(B, State.ASLEEP, want=Want.RETURN),), wake="b"),
    Row("the default waits until the others are idle", (
        awake(idle_since=50), Seen(B, State.ASLEEP, want=Want.DEFAULT),
    ), look_at=110),
    Row("long enough", (awake(idle_since=40), Seen(B, State.ASLEEP, want=Want.DEFAULT)), away="a"),
    Row("who is waited for comes before who is not", (
        Seen(A, State.ASLEEP, want=Want.PRELOAD), waiting(),
    ), wake="b"),
    # By itself.
    Row("idle for its ttl", (awake(member("a", ttl_seconds=10.0), idle_since=90),), away="a"),
    Row("not yet", (awake(member("a", ttl_seconds=10.0), idle_since=91),), look_at=101),
    Row("not at work", (awake(member("a", ttl_seconds=10.0), **BUSY),)),
    Row("by order at once", (awake(**BUSY, order=Tier.CPU),), away="a"),
    Row("one asleep is stopped by order", (Seen(A, State.ASLEEP, order=Tier.STOPPED),), away="a"),
    Row("and does not wake meanwhile", (waiting(A, order=Tier.STOPPED),), away="a"),
    # Memory that nobody knows.
    Row("a device of unknown memory takes one", (awake(SMALL[0]), waiting(SMALL[1])), away="a", mux=Mux(())),
)  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what)
def test_decisions(row: Row) -> None:
    made = decide(View(NOW, row.mux, row.seen))
    told = made.blocked | made.hopeless
    assert (words(made.wake), words(made.back)) == (row.wake, row.back)
    assert words([away.name for away in made.away]) == row.away
    assert made.look_at == pytest.approx(row.look_at)
    assert {name: told.get(name) for name in row.blocked} == row.blocked


def words(names: list[str]) -> str:
    return " ".join(sorted(names))


def test_only_what_a_pinned_member_holds_is_hopeless() -> None:
    def hopeless(*seen: Seen) -> Decision:
        return decide(View(NOW, Mux((), device_memory=MEMORY), seen))

    assert hopeless(awake(PINNED), waiting()).hopeless
    assert not hopeless(awake(busy="it learns"), waiting()).hopeless


def test_the_same_view_gives_the_same_decision_whatever_came_before() -> None:
    view = View(NOW, Mux((), device_memory=MEMORY), (awake(), waiting(), waiting(C)))
    assert decide(view) == decide(view)
