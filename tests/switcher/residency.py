"""Simulated devices and servers that enforce what real ones do: two that do not fit run out of memory, a release while
busy and a second resume kill. What the switcher did wrong stands in `wrongs`; tests ask for faults by name.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from switcher.exceptions import DriverError, Ending
from switcher.spec import Member

HANGS = 1_000_000.0


class Cut(Exception):
    """The server ended this request before it was answered."""


@dataclass(frozen=True)
class Costs:
    """Seconds; of a sleep and a wake as in the measurements of sglangmux 0.1.1: a second for a switch."""

    start: float = 2.0
    stop: float = 0.3
    sleep: float = 0.2
    wake: float = 0.8
    abort: float = 0.05


class Machine:
    """The devices' memory by their real use, whatever was declared of it."""

    def __init__(self, capacity: dict[int, float], slots: int = 1) -> None:
        self.capacity = capacity
        self.slots = slots
        self.wrongs: list[str] = []
        self.resident: list[Simulated] = []
        self.ending = False  # nobody starts or stops a process any more

    def fill(self, server: Simulated) -> None:
        if server not in self.resident:
            self.resident.append(server)
        names = [each.member.name for each in self.resident]
        if names.count(server.member.name) > 1:
            self.wrongs.append(f"two processes of {server.member.name}")
        for device, total in self.capacity.items():
            used = sum(each.uses for each in self.resident if device in each.member.devices)
            if used > total:
                self.wrongs.append(f"device {device} is out of memory: {', '.join(names)}")
        if sum(not each.member.devices for each in self.resident) > self.slots:
            self.wrongs.append(f"more on the host than it has slots: {', '.join(names)}")

    def free(self, server: Simulated) -> None:
        self.resident = [each for each in self.resident if each is not server]


@dataclass(eq=False)
class Simulated:
    """A driver. `fail[phase]` is a list of what its next steps do: error, hang, silent (only of a sleep), die."""

    machine: Machine
    member: Member
    uses: float
    costs: Costs = field(default_factory=Costs)
    process: str = "stopped"  # starting, awake, asleep, dead
    fail: dict[str, list[str]] = field(default_factory=dict)
    sleepless: bool = False
    stubborn: bool = False  # an abort ends nothing
    busy: str | None = None
    calls: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)
    running: dict[int, asyncio.Event] = field(default_factory=dict)
    served: int = 0

    # The driver.

    async def start(self) -> None:
        self._heed()
        if self.process != "stopped":
            self._wrong(f"is started while it is {self.process}")
        self.process = "starting"
        self.machine.fill(self)
        await self._step("start", self.costs.start)
        self.process = "awake"

    async def stop(self) -> None:
        self._heed()
        # The processes of a server that is told to end answer nobody any more.
        self._cut()
        await self._step("stop", self.costs.stop)
        self.process = "stopped"
        self.machine.free(self)

    async def sleep(self) -> None:
        self._heed()
        if self.running:
            self._wrong(f"is put to sleep with {len(self.running)} requests running")
        if self.process == "dead":
            raise DriverError("nothing answers")
        if self.process != "awake":
            self._wrong(f"is put to sleep while it is {self.process}")
        frees = await self._step("sleep", self.costs.sleep)
        self.process = "asleep"
        if frees:
            self.machine.free(self)

    def can_sleep(self) -> bool:
        return not self.sleepless

    async def wake(self) -> None:
        if self.process == "dead":
            raise DriverError("nothing answers")
        if self.process != "asleep":
            self._wrong(f"is woken while it is {self.process}")
        self.machine.fill(self)
        await self._step("wake", self.costs.wake)
        self.process = "awake"

    async def abort(self) -> None:
        await self._step("abort", self.costs.abort)
        if not self.stubborn:
            self._cut()

    async def gone(self) -> bool:
        await asyncio.sleep(0)
        return self not in self.machine.resident

    def alive(self) -> bool:
        return self.process in {"starting", "awake", "asleep"}

    def busy_reason(self) -> str | None:
        return self.busy

    # The world.

    def die(self) -> None:
        """Its process ends; what its children hold of the devices stays until it is stopped."""
        if self.process != "stopped":
            self.process = "dead"
            self._cut()

    async def serve(self, number: int, seconds: float) -> None:
        """One request, for the one who has a lease."""
        if self.process == "dead":
            raise Cut
        if self.process != "awake":
            self._wrong(f"is asked while it is {self.process}")
        cut = self.running[number] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await cut.wait()
        except TimeoutError:
            self.served += 1
            return
        finally:
            self.running.pop(number, None)
        raise Cut

    def _heed(self) -> None:
        if self.machine.ending:
            raise Ending("supervisord is shutting down")

    async def _step(self, phase: str, seconds: float) -> bool:
        """Whether it did what it should."""
        self.calls[phase] += 1
        self.order.append(phase)
        faults = self.fail.get(phase)
        fault = faults.pop(0) if faults else ""
        await asyncio.sleep(HANGS if fault == "hang" else seconds)
        if fault == "die":
            self.die()
        if fault in {"error", "die"}:
            raise DriverError(f"its {phase} was made to fail")
        if self.process == "dead" and phase in {"start", "wake"}:
            raise DriverError("its process has ended")
        return fault != "silent"

    def _cut(self) -> None:
        for cut in list(self.running.values()):
            cut.set()

    def _wrong(self, what: str) -> None:
        self.machine.wrongs.append(f"{self.member.name} {what}")
