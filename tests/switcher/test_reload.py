"""Stories of reloads: who is new, gone or changed, and what becomes of its requests and of a start under way."""

from __future__ import annotations

from switcher.spec import Member
from switcher.states import State
from tests.switcher.residency import Simulated
from tests.switcher.scene import Scene, member, scene
from tests.switcher.test_switcher import A, B, rest, story


async def reload(s: Scene, *members: Member) -> dict[str, Simulated]:
    """Their drivers: new ones of those that are new or changed."""
    known = {each.name: each for each in s.mux.members}
    for each in members:
        if each.name not in known or known[each.name].command != each.command:
            s.drivers[each.name] = s.driver(each)
    drivers = {each.name: s.drivers[each.name] for each in members}
    s.mux = s.mux.__class__(members, s.mux.device_memory)
    await s.switcher.reload(s.mux, drivers)
    return drivers


@story
async def test_a_reload_adds_removes_and_changes_without_dropping_a_request() -> None:
    async with scene(A, B, member("d", devices=(1,))) as s:
        await s.awake("d")
        running = s.asking("d", 100)
        await s.awake("a")
        waiting = s.asking("b", 1)
        changed = member("b", command="another")
        added = member("c", devices=(2,))
        drivers = {"a": s.drivers["a"], "b": s.driver(changed), "c": s.driver(added)}
        mux = s.mux.__class__((A, changed, added), device_memory={0: 80.0, 2: 80.0})
        s.drivers = {**s.drivers, **drivers}
        await s.switcher.reload(mux, drivers)
        assert (await s.ask("d"))[:3] == "404"
        assert await s.ask("c") == "answered"
        assert await waiting == "answered"
        assert await running == "answered"
        await rest(2)
        assert {each.name for each in s.switcher.snapshot().members} == {"a", "b", "c"}


@story
async def test_a_changed_process_is_replaced_when_its_requests_have_ended() -> None:
    async with scene(A) as s:
        await s.awake("a")
        old = s.drivers["a"]
        running = s.asking("a", 50)
        await rest(1)
        changed = member("a", command="another")
        new = s.driver(changed)
        await s.switcher.reload(s.mux.__class__((changed,), device_memory={0: 80.0}), {"a": new})
        await rest(40)
        assert not running.done()
        s.drivers["a"] = new
        assert await running == "answered"
        assert await s.ask("a") == "answered"
        assert (old.calls["stop"], new.calls["start"]) == (1, 1)


@story
async def test_who_waits_for_a_changed_process_waits_for_no_more_than_the_drain_of_the_old() -> None:
    async with scene(A) as s:
        await s.awake("a")
        running = s.asking("a", 100)
        await rest(1)
        await reload(s, member("a", command="another"))
        waiting = s.asking("a", patience=600.0)
        await rest(s.mux.members[0].drain_seconds - 2)
        assert not running.done()
        await rest(30)
        assert await running == "cut"
        assert await waiting == "answered"


@story
async def test_a_start_of_a_changed_model_is_ended_and_who_waits_is_served_by_the_new_process() -> None:
    async with scene(A) as s:
        old = s.drivers["a"]
        old.fail["start"] = ["hang"]
        waiting = s.asking("a")
        await rest(1)
        new = (await reload(s, member("a", command="another")))["a"]
        await rest(5)
        assert waiting.done()
        assert await waiting == "answered"
        assert (old.order, new.order) == (["start", "stop"], ["start"])


@story
async def test_a_start_of_a_removed_model_is_ended_and_its_place_is_free() -> None:
    async with scene(A, B) as s:
        old = s.drivers["a"]
        old.fail["start"] = ["hang"]
        waiting, other = s.asking("a"), s.asking("b")
        await rest(1)
        assert s.state("a") is State.STARTING
        await reload(s, B)
        assert (await waiting)[:3] == "404"
        assert await other == "answered"
        assert old.order == ["start", "stop"]
        assert [each.name for each in s.switcher.snapshot().members] == ["b"]


@story
async def test_a_start_ended_as_the_whole_server_ends_is_not_taken_for_awake() -> None:
    async with scene(A) as s:
        s.drivers["a"].fail["start"] = ["hang"]
        waiting = s.asking("a")
        await rest(1)
        s.machine.ending = True
        await reload(s, member("a", command="another"))
        assert (await waiting)[:3] == "503"
        assert s.switcher.snapshot().closing
        assert s.state("a") is not State.AWAKE


@story
async def test_what_a_reload_adds_to_be_preloaded_is_preloaded() -> None:
    async with scene(A) as s:
        await s.awake("a")
        await reload(s, A, member("b", devices=(1,), preload=True), member("c", devices=(2,)))
        await rest(10)
        assert [s.state(name) for name in "abc"] == [State.AWAKE, State.AWAKE, State.STOPPED]


@story
async def test_a_changed_model_is_preloaded_when_the_requests_of_the_old_one_have_ended() -> None:
    async with scene(member("a", preload=True), member("b", devices=(1,), preload=True)) as s:
        await rest(10)
        running = s.asking("a", 50)
        await rest(1)
        changed = [member("a", preload=True, command="2"), member("b", devices=(1,), preload=True, command="2")]
        new = await reload(s, *changed)
        await rest(20)
        # The one that is served still holds up nobody.
        assert new["b"].order == ["start"]
        assert await running == "answered"
        await rest(10)
        assert new["a"].order == ["start"]
        assert s.state("a") is s.state("b") is State.AWAKE


@story
async def test_a_preload_that_failed_is_tried_as_soon_as_a_reload_has_changed_it() -> None:
    async with scene(member("a", preload=True)) as s:
        s.drivers["a"].fail["start"] = ["error"]
        await rest(2.6)
        assert s.state("a") is State.BACKOFF
        await reload(s, member("a", preload=True, command="mended"))
        await rest(10)
        assert s.state("a") is State.AWAKE


@story
async def test_a_reload_preloads_nobody_that_it_has_not_changed() -> None:
    async with scene(member("a", preload=True), B) as s:
        await rest(10)
        await s.switcher.unload("a")
        await reload(s, member("a", preload=True, priority=2), B)
        await rest(10)
        assert s.state("a") is State.STOPPED


@story
async def test_a_preload_that_has_not_had_its_turn_survives_a_reload() -> None:
    async with scene(member("a", preload=True), member("b", devices=(1,), preload=True)) as s:
        await rest(1)
        assert s.state("b") is State.STOPPED
        await reload(s, *s.mux.members, member("c", devices=(2,)))
        await rest(10)
        assert [s.state(name) for name in "abc"] == [State.AWAKE, State.AWAKE, State.STOPPED]


@story
async def test_a_pinned_model_that_was_awake_comes_back_changed() -> None:
    async with scene(member("a", pin=True), member("c", devices=(1,))) as s:
        await s.awake("a")
        await s.awake("c")
        new = await reload(s, member("a", pin=True, command="2"), member("c", devices=(1,), command="2"))
        await rest(10)
        assert (new["a"].order, new["c"].order) == (["start"], [])
