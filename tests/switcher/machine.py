"""Random operations on a switcher over simulated devices, as a state machine of hypothesis: requests, clients that
leave, processes that die, steps that fail or hang, orders, reloads. Run by `test_random`, in short and at length.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Coroutine
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from switcher.exceptions import Unavailable
from switcher.spec import Member, Tier
from switcher.states import GONE, State
from tests.switcher.residency import Simulated
from tests.switcher.scene import Scene, member
from tests.switcher.virtual import VirtualLoop

# Two devices for four members of which some need both, one device of a group, and the host: (devices, GiB, group).
PLACES: dict[str, tuple[tuple[int, ...], float, str]] = {
    "a": ((0,), 0.0, ""),
    "b": ((0,), 40.0, ""),
    "c": ((0, 1), 40.0, ""),
    "d": ((1,), 50.0, ""),
    "e": ((2,), 0.0, "g"),
    "f": ((2,), 0.0, "g"),
    "g": ((2,), 0.0, ""),
    "h": ((), 0.0, ""),
    "i": ((), 0.0, ""),
}
USES = {"e": 40.0, "f": 40.0}
NAMES = sorted(PLACES)
PHASES = ("start", "wake", "sleep", "stop", "abort")
PATIENCE = 300.0

names = st.sampled_from(NAMES)
short = st.sampled_from([0.0, 0.05, 0.3, 1.0, 5.0, 20.0])


@st.composite
def members(draw: st.DrawFn, name: str) -> Member:
    devices, gib, group = PLACES[name]
    return member(
        name,
        devices=devices,
        memory_gib=gib,
        group=group,
        tier=draw(st.sampled_from(list(Tier))),
        ttl_seconds=draw(st.sampled_from([0.0, 0.0, 3.0])),
        preload=draw(st.booleans()),
        priority=draw(st.sampled_from([1, 1, 5])),
        host_memory_gib=30.0,
        min_residency_seconds=draw(st.sampled_from([None, None, 0.0, 4.0])),
        max_wait_seconds=draw(st.sampled_from([0.0, 5.0, 30.0])),
        drain_seconds=draw(st.sampled_from([0.0, 2.0, 10.0])),
        concurrency=draw(st.sampled_from([0, 0, 1, 2])),
        queue_limit=draw(st.sampled_from([3, 50])),
        ready_seconds=20.0,
        switch_seconds=10.0,
    )


class SwitcherMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.clients: list[asyncio.Task[str]] = []
        self.orders: list[asyncio.Task[Any]] = []
        self.troubled: set[str] = set()
        self.scene: Scene

    def do(self, story: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(story)

    @initialize(data=st.data(), default=st.sampled_from(["", "a", "h"]))
    def begin(self, data: st.DataObject, default: str) -> None:
        drawn = [data.draw(members(name), label=name) for name in NAMES]

        async def begin() -> None:
            self.scene = Scene(*drawn, uses=USES, default=default, host_memory_gib=100.0, request_seconds=PATIENCE)
            self.running = asyncio.create_task(self.scene.switcher.run())
            await asyncio.sleep(0.001)

        self.do(begin())

    @rule(name=names, seconds=short, count=st.integers(1, 5), patience=st.sampled_from([None, None, 1.0]))
    def ask(self, name: str, seconds: float, count: int, patience: float | None) -> None:
        async def ask() -> None:
            self.clients += [self.scene.asking(name, seconds, patience=patience) for _ in range(count)]
            await asyncio.sleep(0.001)

        self.do(ask())

    @rule(name=names)
    def ask_without_end(self, name: str) -> None:
        self.ask(name=name, seconds=PATIENCE * 100, count=1, patience=None)

    @rule(number=st.integers(0, 1000), at_once=st.booleans())
    def leave(self, number: int, at_once: bool) -> None:
        waiting = [client for client in self.clients if not client.done()]
        if waiting:
            waiting[number % len(waiting)].cancel()
        if not at_once:
            self.do(asyncio.sleep(0.001))

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    @rule(name=names)
    def kill(self, name: str) -> None:
        if name in self.scene.drivers:
            self.troubled.add(name)
            self.scene.drivers[name].die()

    @rule(name=names, phase=st.sampled_from(PHASES), fault=st.sampled_from(["error", "hang", "silent", "die"]))
    def spoil(self, name: str, phase: str, fault: str) -> None:
        if name in self.scene.drivers and (phase == "sleep" or fault != "silent"):
            self.troubled.add(name)
            self.scene.drivers[name].fail.setdefault(phase, []).append(fault)

    @rule(name=names, value=st.booleans())
    def be_stubborn(self, name: str, value: bool) -> None:
        if name in self.scene.drivers:
            self.scene.drivers[name].stubborn = value

    @rule(name=names, value=st.booleans())
    def be_busy(self, name: str, value: bool) -> None:
        if name in self.scene.drivers:
            self.scene.drivers[name].busy = "it is paused for a weight update" if value else None

    @rule(name=names, order=st.sampled_from(["load", "unload", "put_to_sleep"]))
    def order(self, name: str, order: str) -> None:
        async def give() -> object:
            try:
                return await getattr(self.scene.switcher, order)(name)
            except Unavailable as exc:
                return str(exc)

        async def order_it() -> None:
            self.orders.append(asyncio.create_task(give()))
            await asyncio.sleep(0.001)

        self.do(order_it())

    @precondition(lambda self: len(self.orders) < 20)
    @rule(name=names, how=st.sampled_from(["remove", "process", "limits"]), data=st.data())
    def reload(self, name: str, how: str, data: st.DataObject) -> None:
        s = self.scene
        kept = [each for each in s.mux.members if each.name != name]
        known = next((each for each in s.mux.members if each.name == name), None)
        if how != "remove" or known is None or len(kept) < 3:
            drawn = data.draw(members(name), label="reloaded")
            if how == "limits" and known is not None:
                drawn = dataclasses.replace(drawn, tier=known.tier, command=known.command)
            else:
                drawn = dataclasses.replace(drawn, command=str(self.loop.time()))
                # What the switcher has not yet put away is still the old one's.
                s.drivers[name] = s.driver(drawn)
            kept.append(drawn)
        default = s.mux.default if s.mux.default in {each.name for each in kept} else ""
        s.mux = dataclasses.replace(s.mux, members=tuple(kept), default=default)
        drivers = {each.name: s.drivers[each.name] for each in kept}

        async def take() -> None:
            await s.switcher.reload(s.mux, drivers)
            await asyncio.sleep(0.001)

        self.do(take())

    @invariant()
    def nothing_is_wrong(self) -> None:
        self.do(asyncio.sleep(0.001))
        self.scene.finish()
        for each in self.scene.switcher.snapshot().members:
            assert each.in_flight == self.scene.inside[each.name], each
            assert each.in_flight == 0 or each.state not in GONE, each
            # Who was not made to fail does not suffer from those who were.
            assert each.name in self.troubled or each.state is not State.BACKOFF, each

    def teardown(self) -> None:
        try:
            if hasattr(self, "scene"):
                self.do(self.end_well())
        finally:
            self.do(self.end())
            self.loop.close()

    async def end_well(self) -> None:
        """Once nothing fails any more every client has his answer, and every model serves."""
        for server in self.processes():
            server.fail.clear()
            server.stubborn, server.busy = False, None
        # Stuck steps end by their limits; patience does the rest; the endless requests are those of clients who leave.
        await asyncio.sleep(2 * PATIENCE)
        for client in self.clients:
            if not client.done():
                client.cancel()
        await asyncio.sleep(2 * PATIENCE)
        self.all_have_their_answers()
        present = [each.name for each in self.scene.mux.members]
        began = self.loop.time()
        answers = await asyncio.gather(*(self.scene.ask(name) for name in present))
        assert answers == ["answered"] * len(present)
        longest = sum(each.max_wait_seconds + each.drain_seconds + 5.0 for each in self.scene.mux.members)
        assert self.loop.time() - began <= longest
        self.scene.finish()

    def processes(self) -> list[Simulated]:
        return list({id(each): each for each in (*self.scene.drivers.values(), *self.scene.made)}.values())

    def all_have_their_answers(self) -> None:
        assert all(task.done() for task in (*self.clients, *self.orders))
        for client in self.clients:
            if not client.cancelled():
                told = client.result()
                assert told in {"answered", "cut"} or (told[:3] in {"404", "429", "503"} and told.endswith(".")), told
        for each in self.scene.switcher.snapshot().members:
            assert each.in_flight == each.queued == 0, each

    async def end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class EndingMachine(SwitcherMachine):
    """And at some moment the whole server ends: who starts and stops processes does so no more."""

    @rule(is_known=st.booleans())
    def shut_down(self, is_known: bool) -> None:
        async def shut_down() -> None:
            self.scene.machine.ending = True
            self.troubled.update(NAMES)
            if is_known:
                self.scene.switcher.end_switching()

        self.do(shut_down())

    async def end_well(self) -> None:
        """Once nothing fails any more who is awake serves, and everybody else is told at once."""
        self.scene.machine.ending = True
        self.scene.switcher.end_switching()
        for server in self.processes():
            server.fail.clear()
            server.stubborn = False
        await asyncio.sleep(2 * PATIENCE)
        for client in self.clients:
            if not client.done():
                client.cancel()
        await asyncio.sleep(1)
        self.all_have_their_answers()
        awake = {each.name for each in self.scene.switcher.snapshot().members if each.state is State.AWAKE}
        for each in self.scene.mux.members:
            assert (await self.scene.ask(each.name) == "answered") == (each.name in awake)
        self.scene.finish()
