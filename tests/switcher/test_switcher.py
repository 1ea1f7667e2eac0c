"""Stories of the switcher over simulated devices, on a clock of their own."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from switcher.exceptions import Unavailable
from switcher.spec import Tier
from switcher.states import State
from tests.switcher import virtual
from tests.switcher.scene import Scene, member, now, scene

A, B = member("a"), member("b")


def story(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*words: object, **named: object) -> None:
        virtual.run(test(*words, **named))

    return run


async def rest(seconds: float) -> None:
    await asyncio.sleep(seconds)


@story
async def test_the_first_request_starts_the_model_and_is_answered() -> None:
    async with scene(A) as s:
        assert await s.ask("a") == "answered"
        assert s.state("a") is State.AWAKE


@story
async def test_an_awake_model_is_leased_without_a_wait() -> None:
    async with scene(A) as s:
        await s.awake("a")
        began = now()
        with await s.switcher.lease("a"):
            assert now() == began


@story
async def test_two_models_take_turns_and_never_hold_the_device_together() -> None:
    async with scene(A, B) as s:
        answers = await asyncio.gather(*(s.ask(name) for name in "abab"))
        assert answers == ["answered"] * 4
        assert {s.state("a"), s.state("b")} == {State.AWAKE, State.ASLEEP}


@story
async def test_models_on_different_devices_start_at_the_same_time() -> None:
    async with scene(A, member("b", devices=(1,))) as s:
        began = now()
        await asyncio.gather(s.ask("a"), s.ask("b"))
        assert now() - began < 2 * s.drivers["a"].costs.start
        assert s.state("a") is s.state("b") is State.AWAKE


@story
async def test_two_that_fit_by_their_memory_stay_together() -> None:
    async with scene(member("a", memory_gib=40), member("b", memory_gib=40), member("c", memory_gib=30)) as s:
        await s.awake("a")
        await s.awake("b")
        assert s.state("a") is s.state("b") is State.AWAKE
        await s.awake("c")
        # Only as many leave as must.
        assert sorted([s.state("a"), s.state("b")]) == [State.ASLEEP, State.AWAKE]


@story
async def test_a_group_is_together_by_the_operators_word() -> None:
    uses = {"a": 10.0, "b": 10.0}
    async with scene(member("a", group="g"), member("b", group="g"), member("c"), uses=uses) as s:
        await s.awake("a")
        await s.awake("b")
        assert s.state("a") is s.state("b") is State.AWAKE
        await s.awake("c")
        assert s.state("a") is s.state("b") is State.ASLEEP


@story
async def test_the_hosts_slots_are_for_members_without_devices() -> None:
    members = [member(name, devices=(), tier=Tier.STOPPED) for name in "abc"]
    async with scene(*members, slots=2) as s:
        await asyncio.gather(*(s.ask(name) for name in "abc"))
        assert sorted(s.state(name) for name in "abc") == [State.AWAKE, State.AWAKE, State.STOPPED]


@story
async def test_thrashing_clients_are_served_in_batches() -> None:
    """Two closed loops of 10 requests of 50 ms: 20.3 s with sglangmux 0.1.1, on the same costs."""

    async def client(s: Scene, name: str) -> None:
        for _ in range(10):
            assert await s.ask(name) == "answered"

    async with scene(A, B) as s:
        await s.awake("b")
        await s.awake("a")
        began = now()
        await asyncio.gather(client(s, "a"), client(s, "b"))
        assert now() - began <= 5
        assert s.drivers["b"].calls["wake"] == 1


@story
async def test_steady_load_on_one_does_not_starve_the_other() -> None:
    async def steady(s: Scene) -> None:
        while True:
            await s.ask("a", 1.0)

    async with scene(A, member("b", max_wait_seconds=10), member("c", priority=1)) as s:
        await s.awake("b")
        await s.awake("a")
        load = [asyncio.create_task(steady(s)) for _ in range(8)]
        for _ in range(20):
            await rest(7)
            began = now()
            assert await s.ask("b") == "answered"
            switch = 1.0 + s.drivers["a"].costs.sleep + s.drivers["b"].costs.wake + 0.1
            assert now() - began <= 10 + switch
        for task in load:
            task.cancel()


@story
async def test_under_load_on_both_the_time_goes_by_priority() -> None:
    async def steady(s: Scene, name: str) -> None:
        while True:
            await s.ask(name, 0.1)

    async with scene(member("a", priority=3, max_wait_seconds=1000), member("b", max_wait_seconds=1000)) as s:
        load = [asyncio.create_task(steady(s, name)) for name in "abab"]
        await rest(1000)
        shares = s.drivers["a"].served / s.drivers["b"].served
        for task in load:
            task.cancel()
        assert 2.5 < shares < 3.5


@story
async def test_the_longest_wait_ends_a_high_priority() -> None:
    async def steady(s: Scene) -> None:
        while True:
            await s.ask("a", 0.1)

    async with scene(member("a", priority=1000), member("b", max_wait_seconds=20)) as s:
        await s.awake("a")
        load = asyncio.create_task(steady(s))
        began = now()
        assert await s.ask("b") == "answered"
        assert 19 < now() - began < 23
        load.cancel()


@story
async def test_a_given_least_residency_is_kept_though_the_model_is_idle() -> None:
    async with scene(member("a", min_residency_seconds=15), B) as s:
        await s.awake("a")
        began = now()
        await s.awake("b")
        assert now() - began > 14


@story
async def test_running_requests_end_before_their_model_sleeps() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        long = s.asking("a", 12)
        await rest(6)
        other = s.asking("b")
        assert await long == "answered"
        assert await other == "answered"
        assert s.drivers["a"].calls["abort"] == 0


@story
async def test_who_runs_on_beyond_the_drain_is_ended() -> None:
    async with scene(member("a", drain_seconds=5), B) as s:
        await s.awake("a")
        long = s.asking("a", 1000)
        await rest(10)
        began = now()
        assert await s.ask("b") == "answered"
        assert now() - began < 5 + 3
        assert await long == "cut"
        assert s.state("a") is State.ASLEEP


@story
async def test_one_whose_requests_cannot_be_ended_is_stopped() -> None:
    async with scene(member("a", drain_seconds=5), B) as s:
        await s.awake("a")
        s.drivers["a"].stubborn = True
        long = s.asking("a", 1000)
        await rest(10)
        assert await s.ask("b") == "answered"
        assert await long == "cut"
        assert s.state("a") is State.STOPPED


@story
async def test_a_drain_that_nobody_needs_any_more_is_undone() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        long = s.asking("a", 20)
        await rest(10)
        other = s.asking("b")
        await rest(1)
        assert s.state("a") is State.DRAINING
        waits = s.asking("a")
        other.cancel()
        assert await waits == "answered"
        assert not long.done()
        assert s.drivers["a"].calls["sleep"] == 0
        assert await long == "answered"


@story
async def test_a_client_that_leaves_during_a_switch_does_not_disturb_it() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        await rest(10)
        for seconds in (0.0, 0.1, 0.25, 0.5, 0.95, 1.0):
            for name in "ba":
                leaving = s.asking(name)
                await rest(seconds)
                leaving.cancel()
                await rest(0.3)
        assert await s.ask("b") == "answered"
        assert await s.ask("a") == "answered"
        assert all(each.in_flight == each.queued == 0 for each in s.switcher.snapshot().members)


@story
async def test_a_waiter_that_is_cancelled_as_he_is_granted_gives_his_place_back() -> None:
    async with scene(A) as s:
        ticket = s.switcher.ticket("a")
        waiter = asyncio.create_task(ticket.granted())
        while not await ticket.settled(0.01):
            pass
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        ticket.leave()
        assert s.switcher.snapshot()["a"].in_flight == 0


@story
async def test_a_lease_released_twice_is_released_once() -> None:
    async with scene(A) as s:
        lease, other = await s.switcher.lease("a"), await s.switcher.lease("a")
        lease.release()
        lease.release()
        assert s.switcher.snapshot()["a"].in_flight == 1
        other.release()


@story
@pytest.mark.parametrize("ended", ["stopped", "died"])
async def test_a_lease_of_a_process_that_is_gone_takes_no_place_at_the_next(ended: str) -> None:
    async with scene(member("a", concurrency=1), B) as s:
        stuck = await s.switcher.lease("a")  # a client that does not read
        if ended == "died":
            s.drivers["a"].die()
            await rest(5)
        assert await s.ask("b") == "answered"
        assert s.switcher.snapshot()["a"].in_flight == 0
        assert await s.ask("a") == "answered"
        with await s.switcher.lease("a"):
            stuck.release()
            assert s.switcher.snapshot()["a"].in_flight == 1


@story
async def test_a_ticket_tells_its_place() -> None:
    async with scene(A) as s:
        tickets = [s.switcher.ticket("a") for _ in range(3)]
        assert [ticket.place() for ticket in tickets] == [1, 2, 3]
        tickets[0].leave()
        assert [ticket.place() for ticket in tickets] == [0, 1, 2]
        assert not await tickets[1].settled(0.1)
        assert (await tickets[1].granted()).name == "a"


@story
async def test_no_more_run_at_once_than_the_models_concurrency() -> None:
    async with scene(member("a", concurrency=2)) as s:
        asked = [s.asking("a", 1.0) for _ in range(6)]
        most = 0
        while not all(task.done() for task in asked):
            most = max(most, len(s.drivers["a"].running))
            await rest(0.1)
        assert most == 2
        assert {task.result() for task in asked} == {"answered"}


@story
async def test_full_queues_refuse_with_429() -> None:
    async with scene(member("a", queue_limit=2), B, queue_limit=3) as s:
        asked = [s.asking(name) for name in "aaabb"]
        answers = [await task for task in asked]
        assert [answer[:3] for answer in answers] == ["ans", "ans", "429", "ans", "429"]
        assert "'a' is full (2)" in answers[2]
        assert "all models together are full (3)" in answers[4]


@story
async def test_an_unknown_model_is_404_and_aliases_are_known() -> None:
    async with scene(member("a", aliases=("gpt-4",))) as s:
        assert (await s.ask("b"))[:3] == "404"
        assert await s.ask("gpt-4") == "answered"


@story
async def test_the_longest_time_in_the_queue_is_kept_and_the_refusal_tells_why() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        s.drivers["a"].busy = "it is paused for a weight update"
        began = now()
        answer = await s.ask("b", patience=50)
        assert now() - began == pytest.approx(50)
        assert answer.startswith("503")
        assert "a cannot be put away now: it is paused for a weight update" in answer
        s.drivers["a"].busy = None
        assert await s.ask("b") == "answered"


@story
async def test_what_a_pinned_model_holds_is_refused_at_once() -> None:
    async with scene(member("a", pin=True), B) as s:
        await s.awake("a")
        began = now()
        answer = await s.ask("b")
        assert now() == began
        assert "taken by a, which is pinned" in answer
        assert s.state("a") is State.AWAKE


@story
async def test_a_failed_start_backs_off_alone_and_the_other_comes_back() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        await rest(10)
        s.drivers["b"].fail["start"] = ["error"]
        answer = await s.ask("b")
        assert answer.startswith("503 The model 'b' could not be served: its start was made to fail")
        with pytest.raises(Unavailable) as again:
            s.switcher.ticket("b")
        assert (again.value.status, again.value.retry_after) == (503, 1)
        await rest(1.5)
        assert (s.state("a"), s.state("b")) == (State.AWAKE, State.STOPPED)
        assert await s.ask("b") == "answered"


@story
async def test_the_backoff_doubles_up_to_a_minute() -> None:
    async with scene(A) as s:
        s.drivers["a"].fail["start"] = ["error"] * 8
        left = []
        for _ in range(8):
            await s.ask("a")
            seconds = s.switcher.snapshot()["a"].retry_seconds
            left.append(round(seconds))
            await rest(seconds + 0.1)
        assert left == [1, 2, 4, 8, 16, 32, 60, 60]
        assert await s.ask("a") == "answered"


@story
@pytest.mark.parametrize("fault", ["error", "hang", "silent", "die"])
async def test_a_failed_sleep_ends_in_a_stop_before_the_other_wakes(fault: str) -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        await rest(10)
        s.drivers["a"].fail["sleep"] = [fault]
        assert await s.ask("b") == "answered"
        assert s.state("a") is State.STOPPED
        assert s.drivers["a"].order[-2:] == ["sleep", "stop"]
        assert s.switcher.snapshot()["a"].series.failures["sleep"] == 1


@story
async def test_a_stop_that_fails_is_repeated_and_nobody_comes_before_it_is_gone() -> None:
    async with scene(member("a", tier=Tier.STOPPED), B) as s:
        await s.awake("a")
        s.drivers["a"].fail["stop"] = ["error", "error", "hang"]
        assert await s.ask("b") == "answered"
        assert s.drivers["a"].calls["stop"] == 4


@story
@pytest.mark.parametrize("fault", ["error", "hang", "die"])
async def test_who_waits_for_a_wake_that_fails_is_served_by_a_new_process(fault: str) -> None:
    async with scene(A, B) as s:
        await s.awake("b")
        await s.awake("a")
        s.drivers["b"].fail["wake"] = [fault]
        assert await s.ask("b") == "answered"
        assert s.drivers["b"].order[-3:] == ["wake", "stop", "start"]
        assert s.switcher.snapshot()["b"].series.failures == {"wake": 1}


@story
async def test_a_start_that_fails_behind_a_failed_wake_is_left_alone_for_a_while() -> None:
    async with scene(A, B) as s:
        await s.awake("b")
        await s.awake("a")
        s.drivers["b"].fail |= {"wake": ["error"], "start": ["error"]}
        assert (await s.ask("b")).startswith("503")
        assert s.drivers["b"].process == "stopped"
        await rest(5)
        assert s.state("a") is State.AWAKE
        assert await s.ask("b") == "answered"


@story
async def test_one_that_cannot_sleep_is_stopped_and_nothing_has_failed() -> None:
    async with scene(A, B) as s:
        s.drivers["a"].sleepless = True
        await s.awake("a")
        await s.awake("b")
        assert (s.state("a"), s.drivers["a"].calls["sleep"]) == (State.STOPPED, 0)
        assert s.switcher.snapshot()["a"].series.failures == {}


@story
async def test_the_switch_of_one_that_cannot_sleep_costs_its_stop_and_its_start() -> None:
    async with scene(member("a", queue_limit=1), B) as s:
        s.drivers["a"].sleepless = True
        s.drivers["a"].costs = dataclasses.replace(s.drivers["a"].costs, start=60.0, stop=2.0)
        await s.awake("a")
        await s.awake("b")
        s.switcher.ticket("a")
        with pytest.raises(Unavailable) as full:
            s.switcher.ticket("a")
        assert (full.value.status, full.value.retry_after) == (429, 62)


@story
async def test_a_model_that_dies_awake_comes_back_by_itself() -> None:
    async with scene(A) as s:
        await s.awake("a")
        s.drivers["a"].die()
        await rest(1)
        assert s.state("a") is State.BACKOFF
        await rest(5)
        assert s.state("a") is State.AWAKE


@story
async def test_a_model_that_dies_asleep_is_not_started_into_a_full_device() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        await s.awake("b")
        s.drivers["a"].die()
        await rest(100)
        assert (s.state("a"), s.state("b")) == (State.STOPPED, State.AWAKE)
        assert await s.ask("a") == "answered"


@story
async def test_a_model_that_dies_while_it_drains_makes_place() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        long = s.asking("a", 100)
        await rest(10)
        other = s.asking("b")
        await rest(1)
        assert s.state("a") is State.DRAINING
        s.drivers["a"].die()
        assert await other == "answered"
        assert await long == "cut"
        await rest(100)
        assert s.state("b") is State.AWAKE


@story
async def test_a_model_that_dies_on_its_way_back_is_started_anew() -> None:
    async with scene(A, B) as s:
        await s.awake("b")
        await s.awake("a")
        await rest(5)
        asked = s.asking("b")
        while s.state("b") is not State.WAKING:
            await rest(0.1)
        s.drivers["b"].die()
        assert await asked == "answered"
        assert s.switcher.snapshot()["b"].series.failures == {"wake": 1}


@story
async def test_the_crashes_of_one_leave_another_device_alone() -> None:
    async with scene(A, member("b", devices=(1,))) as s:
        await s.awake("b")
        s.drivers["a"].fail["start"] = ["error"] * 100
        for _ in range(50):
            await s.ask("a")
            assert await s.ask("b") == "answered"
            await rest(1)
        assert s.drivers["b"].calls["start"] == 1


@story
async def test_idle_for_its_ttl_it_goes_to_its_tier() -> None:
    async with scene(member("a", ttl_seconds=30), member("b", devices=(1,), tier=Tier.STOPPED, ttl_seconds=5)) as s:
        await s.awake("a")
        await s.awake("b")
        await rest(20)
        assert (s.state("a"), s.state("b")) == (State.AWAKE, State.STOPPED)
        await s.awake("a")
        await rest(29)
        assert s.state("a") is State.AWAKE
        await rest(2)
        assert s.state("a") is State.ASLEEP


@story
async def test_the_default_comes_back_when_the_other_is_idle() -> None:
    async with scene(A, B, default="a", default_seconds=60) as s:
        await s.awake("a")
        await s.awake("b")
        await rest(59)
        assert s.state("b") is State.AWAKE
        await rest(3)
        assert (s.state("a"), s.state("b")) == (State.AWAKE, State.ASLEEP)


@story
async def test_preloads_come_one_after_another_and_the_default_stays() -> None:
    a, b, c = (member(name, preload=True) for name in "abc")
    async with scene(a, b, c, default="a") as s:
        await rest(20)
        assert [s.state(name) for name in "abc"] == [State.AWAKE, State.ASLEEP, State.ASLEEP]
        assert [s.drivers[name].calls["start"] for name in "abc"] == [1, 1, 1]
        # Nobody had to wait for a least residency.
        assert s.switcher.snapshot().timeline[-1].name == "a"


@story
async def test_a_preload_that_fails_does_not_hold_up_the_next() -> None:
    a, b = member("a", preload=True), member("b", preload=True, devices=(1,))
    async with scene(a, b) as s:
        s.drivers["a"].fail["start"] = ["error"]
        await rest(10)
        assert s.state("b") is State.AWAKE


@story
async def test_orders_load_sleep_and_unload() -> None:
    async with scene(A, B) as s:
        assert await s.switcher.load("a") is State.AWAKE
        assert await s.switcher.put_to_sleep("a") is State.ASLEEP
        assert await s.switcher.put_to_sleep("a") is State.ASLEEP
        assert await s.switcher.load("a") is State.AWAKE
        assert await s.switcher.unload("a") is State.STOPPED
        assert await s.switcher.unload("a") is State.STOPPED
        assert await s.switcher.load("b") is State.AWAKE
        await s.switcher.put_to_sleep("b")
        assert await s.switcher.unload("b") is State.STOPPED


@story
async def test_an_order_waits_for_the_running() -> None:
    async with scene(A) as s:
        asked = s.asking("a", 3)
        await rest(4)
        assert await s.switcher.unload("a") is State.STOPPED
        assert await asked == "answered"


@story
async def test_an_order_to_sleep_is_obeyed_by_a_starting_one_later() -> None:
    async with scene(A) as s:
        asked = s.asking("a", 3)
        await rest(0.5)
        assert await s.switcher.put_to_sleep("a") is State.ASLEEP
        assert await asked == "answered"
        assert s.drivers["a"].calls["start"] == 1


@story
async def test_an_unload_ends_a_start_and_who_waits_starts_it_once_more() -> None:
    async with scene(A) as s:
        s.drivers["a"].fail["start"] = ["hang"]
        asked = s.asking("a")
        await rest(10)
        unloading = asyncio.create_task(s.switcher.unload("a"))
        await rest(0.1)
        assert s.state("a") is State.SLEEPING
        assert await unloading is State.STOPPED
        assert await asked == "answered"
        assert s.drivers["a"].order == ["start", "stop", "start"]


@story
async def test_an_unload_of_a_starting_one_that_nobody_waits_for_leaves_it_stopped() -> None:
    async with scene(member("a", preload=True)) as s:
        s.drivers["a"].fail["start"] = ["hang"]
        await rest(1)
        assert await s.switcher.unload("a") is State.STOPPED
        await rest(100)
        assert s.drivers["a"].order == ["start", "stop"]
        assert s.machine.resident == []


@story
async def test_an_ended_start_is_proven_gone_before_another_comes() -> None:
    async with scene(A, B) as s:
        s.drivers["a"].fail |= {"start": ["hang"], "stop": ["error", "error"]}
        first = s.asking("a")
        await rest(1)
        other = s.asking("b")
        first.cancel()
        assert await s.switcher.unload("a") is State.STOPPED
        assert s.drivers["a"].calls["stop"] == 3
        assert await other == "answered"


@story
async def test_an_order_is_refused_while_the_model_is_not_to_be_put_away() -> None:
    async with scene(A) as s:
        await s.awake("a")
        s.drivers["a"].busy = "it is paused for a weight update"
        with pytest.raises(Unavailable) as refused:
            await s.switcher.unload("a")
        assert refused.value.status == 409
        assert s.state("a") is State.AWAKE


@story
async def test_a_pause_of_the_switchs_own_refuses_no_order_and_is_not_told() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        other = s.asking("b")
        while s.state("a") is not State.SLEEPING:
            await rest(0.05)
        s.drivers["a"].busy = "it is paused"
        assert s.switcher.snapshot()["a"].busy == ""
        assert await s.switcher.unload("a") is State.STOPPED
        assert await other == "answered"


@story
async def test_one_that_becomes_busy_while_it_drains_stays() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        long = s.asking("a", 10)
        await rest(6)
        unloading = asyncio.create_task(s.switcher.unload("a"))
        await rest(1)
        s.drivers["a"].busy = "it is paused for a weight update"
        with pytest.raises(Unavailable):
            await unloading
        assert await long == "answered"
        await rest(5)
        assert s.state("a") is State.AWAKE


@story
async def test_an_order_during_a_switch_holds_when_the_other_client_leaves() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        long = s.asking("a", 20)
        await rest(10)
        other = s.asking("b")
        await rest(1)
        assert s.state("a") is State.DRAINING
        unloading = asyncio.create_task(s.switcher.unload("a"))
        await rest(1)
        other.cancel()
        assert await unloading is State.STOPPED
        assert await long == "answered"
        assert s.state("a") is State.STOPPED


@story
async def test_an_order_to_one_whose_start_fails_does_not_end_its_backoff() -> None:
    async with scene(A) as s:
        s.drivers["a"].fail["start"] = ["error"]
        asked = s.asking("a")
        await rest(1)
        assert await s.switcher.put_to_sleep("a") is State.BACKOFF
        assert (await asked)[:3] == "503"
        assert s.state("a") is State.BACKOFF


@story
async def test_the_hosts_memory_is_kept_for_as_many_as_fit() -> None:
    members = [member(name, host_memory_gib=60) for name in "abc"]
    async with scene(*members, host_memory_gib=100) as s:
        for name in "abc":
            await s.awake(name)
        assert [s.state(name) for name in "abc"] == [State.ASLEEP, State.STOPPED, State.AWAKE]


@story
async def test_who_watches_sees_every_state() -> None:
    async with scene(A) as s:
        seen = []

        async def watch() -> None:
            async for snapshot in s.switcher.subscribe():
                seen.append(snapshot["a"].state)  # noqa: PERF401 - it is cancelled, and what came must stay

        watching = asyncio.create_task(watch())
        await s.awake("a")
        await rest(1)
        watching.cancel()
        assert [state for state, before in zip(seen, [None, *seen], strict=False) if state is not before] == [
            State.STOPPED, State.STARTING, State.AWAKE,
        ]  # fmt: skip


@story
async def test_the_numbers_count_waits_steps_and_wakes() -> None:
    async with scene(A, B) as s:
        await s.awake("a")
        await s.awake("b")
        series = s.switcher.snapshot()["a"].series
        assert (series.wakes, series.waits.count) == (1, 1)
        assert series.steps["start"].sum == pytest.approx(2.0)
        assert series.steps["sleep"].cumulative()[1] == (0.25, 1)
        assert series.steps["drain"].count == 1
