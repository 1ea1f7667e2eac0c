"""The end of all switches, as the whole server ends: over simulated devices, on a clock of their own."""

from __future__ import annotations

import asyncio

import pytest

from switcher.exceptions import Unavailable
from switcher.spec import Tier
from switcher.states import State
from tests.switcher.scene import Scene, member, now, scene
from tests.switcher.test_switcher import A, B, rest, story

SHUTTING_DOWN = "503 The server is shutting down, and switches no more"


def end(s: Scene) -> None:
    """supervisord refuses all from now on, and it is known."""
    s.machine.ending = True
    s.switcher.end_switching()


@story
async def test_who_waits_for_another_is_told_at_once_and_who_is_awake_serves_on() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        running, waiting = s.asking("a", 3), s.asking("b")
        await rest(0.1)
        began = now()
        end(s)
        assert (await waiting).startswith(SHUTTING_DOWN)
        assert (await s.ask("b")).startswith(SHUTTING_DOWN)
        assert now() == began
        assert await s.ask("a") == await running == "answered"
        await rest(100)
        assert s.state("a") is State.AWAKE
        assert s.drivers["b"].calls["start"] == 0


@story
async def test_one_that_drains_for_another_is_called_back() -> None:
    async with scene(A, member("b", max_wait_seconds=1)) as s:
        await s.awake("a")
        running = s.asking("a", 20)
        waiting = s.asking("b")
        await rest(10)
        assert s.state("a") is State.DRAINING
        late = s.asking("a")
        end(s)
        assert (await waiting).startswith(SHUTTING_DOWN)
        assert await late == await running == "answered"
        assert s.drivers["a"].order == ["start"]


@pytest.mark.parametrize("tier", [Tier.STOPPED, Tier.CPU])
@story
async def test_one_whose_step_away_is_refused_before_anybody_knows_is_awake_again(tier: Tier) -> None:
    async with scene(member("a", tier=tier), B) as s:
        await s.awake("a")
        await rest(10)
        s.machine.ending = True
        assert (await s.ask("b"))[:3] == "503"
        assert await s.ask("a") == "answered"
        assert s.drivers["a"].order == ["start"]
        assert s.drivers["b"].calls["start"] == 0


@story
async def test_one_that_starts_already_is_waited_for() -> None:
    async with scene(A) as s:
        waiting = s.asking("a")
        await rest(0.1)
        assert s.state("a") is State.STARTING
        end(s)
        late = s.asking("a")
        assert await waiting == await late == "answered"


@story
async def test_one_that_starts_and_fails_is_a_503_and_its_process_is_left_to_the_end() -> None:
    async with scene(A) as s:
        s.drivers["a"].fail["start"] = ["error"]
        waiting = s.asking("a")
        await rest(0.1)
        end(s)
        assert (await waiting)[:3] == "503"
        assert (await s.ask("a")).startswith(SHUTTING_DOWN)
        await rest(100)
        assert s.drivers["a"].order == ["start"]


@story
async def test_a_switch_between_two_that_sleep_is_gone_to_its_end() -> None:
    async with scene(A, B) as s:
        await s.awake("b")
        await s.awake("a")
        await rest(10)
        waiting = s.asking("b")
        await rest(0.1)
        assert (s.state("a"), s.state("b")) == (State.SLEEPING, State.ASLEEP)
        end(s)
        late = s.asking("b")
        assert await waiting == await late == "answered"
        assert (await s.ask("a")).startswith(SHUTTING_DOWN)


@story
async def test_a_switch_whose_first_half_fails_is_not_gone_to_its_end() -> None:
    """Who could not be put to sleep cannot be stopped either: his devices stay full."""
    async with scene(A, B) as s:
        await s.awake("b")
        await s.awake("a")
        await rest(10)
        s.drivers["a"].fail["sleep"] = ["error"]
        waiting = s.asking("b")
        await rest(0.1)
        end(s)
        assert (await waiting).startswith(SHUTTING_DOWN)
        await rest(100)
        assert s.drivers["b"].calls["wake"] == 0


@story
async def test_a_switch_that_needs_a_start_is_not_gone_to_its_end() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        await rest(10)
        waiting = s.asking("b")
        await rest(0.1)
        assert s.state("a") is State.SLEEPING
        end(s)
        assert (await waiting).startswith(SHUTTING_DOWN)
        await rest(100)
        assert s.drivers["b"].calls["start"] == 0


@story
async def test_one_that_dies_is_not_started_again() -> None:
    async with scene(A) as s:
        await s.awake("a")
        end(s)
        s.drivers["a"].die()
        await rest(100)
        assert (await s.ask("a")).startswith(SHUTTING_DOWN)
        assert s.drivers["a"].calls["start"] == 1


@story
async def test_one_is_not_put_away_for_being_idle() -> None:
    async with scene(member("a", ttl_seconds=5)) as s:
        await s.awake("a")
        end(s)
        await rest(100)
        assert s.state("a") is State.AWAKE


@story
async def test_orders_are_refused_and_those_that_are_under_way_end() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        running = s.asking("a", 3)
        unloading = asyncio.create_task(s.switcher.unload("a"))
        await rest(0.1)
        end(s)
        for order in (unloading, s.switcher.unload("a"), s.switcher.put_to_sleep("a"), s.switcher.load("b")):
            with pytest.raises(Unavailable, match="shutting down"):
                await order
        assert await running == "answered"
        assert await s.switcher.load("a") is State.AWAKE
