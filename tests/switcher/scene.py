"""A switcher over simulated devices, with clients: what the tests of the switcher begin with.
Used by all of them; `finish` asks for what must hold at the end of each story.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from switcher.exceptions import Unavailable
from switcher.spec import Member, Mux, Tier
from switcher.states import State
from switcher.switcher import Switcher
from tests.switcher.residency import Costs, Cut, Machine, Simulated


def member(name: str, **words: object) -> Member:
    values: dict[str, object] = {"devices": (0,), "tier": Tier.CPU}
    names = (name, *cast("tuple[str, ...]", words.pop("aliases", ())))
    return Member(name, f"sglang-{name}", names, 1, **values | words)  # type: ignore[arg-type]


class Scene:
    def __init__(self, *members: Member, uses: dict[str, float] | None = None, **mux: object) -> None:
        devices = {device for each in members for device in each.devices}
        self.mux = Mux(members, **{"device_memory": dict.fromkeys(devices, 80.0)} | mux)  # type: ignore[arg-type]
        self.machine = Machine(dict(self.mux.device_memory), self.mux.slots)
        self.uses = uses or {}
        self.made: list[Simulated] = []
        self.drivers = {each.name: self.driver(each) for each in members}
        self.switcher = Switcher(self.mux, self.drivers, asyncio.get_running_loop().time)
        self.number = 0
        self.inside: Counter[str] = Counter()  # requests with a lease

    def driver(self, each: Member, costs: Costs | None = None) -> Simulated:
        made = Simulated(self.machine, each, self.uses.get(each.name, each.memory_gib or 80.0), costs or Costs())
        self.made.append(made)
        return made

    def state(self, name: str) -> State:
        return self.switcher.snapshot()[name].state

    async def ask(self, name: str, seconds: float = 0.05, *, patience: float | None = None) -> str:
        """What became of one request: answered, cut, or the status and sentence of its refusal."""
        self.number += 1
        number = self.number
        try:
            with await self.switcher.lease(name, seconds=patience) as lease:
                self.inside[lease.name] += 1
                try:
                    await cast("Simulated", lease.driver).serve(number, seconds)
                finally:
                    self.inside[lease.name] -= 1
        except Cut:
            return "cut"
        except Unavailable as exc:
            return f"{exc.status} {exc.sentence}"
        return "answered"

    async def awake(self, name: str) -> None:
        assert await self.ask(name) == "answered"

    def asking(self, name: str, seconds: float = 0.05, *, patience: float | None = None) -> asyncio.Task[str]:
        return asyncio.create_task(self.ask(name, seconds, patience=patience))

    def finish(self) -> None:
        assert self.machine.wrongs == []
        assert self.switcher.snapshot().faults == 0


@asynccontextmanager
async def scene(*members: Member, uses: dict[str, float] | None = None, **mux: object) -> AsyncIterator[Scene]:
    made = Scene(*members, uses=uses, **mux)
    running = asyncio.create_task(made.switcher.run())
    try:
        await asyncio.sleep(0)
        yield made
        made.finish()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def now() -> float:
    return asyncio.get_running_loop().time()
