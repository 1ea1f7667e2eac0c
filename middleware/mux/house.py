"""All that is behind one port: the members, the switcher that says whose turn it is, and the names of both.
Made by `middleware.mux.app`; asked by `front`, `own`, `pages` and `control`.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from middleware.access import Keys
from middleware.answers import Answers
from middleware.context import Context
from middleware.device_memory import DeviceMemory
from middleware.mux import members, named
from middleware.mux.members import MemoryOf, Served
from middleware.mux.naming import Naming
from middleware.mux.programs import Programs
from middleware.settings import Settings, SettingsError
from switcher import spec
from switcher.driver import Driver
from switcher.exceptions import Ending
from switcher.roster import process
from switcher.spec import Member, Mux
from switcher.switcher import Switcher

log = logging.getLogger("middleware.mux")

TIDY_SECONDS = 1.0


class House:
    """house = House(settings, mux, run_dir)
    async with house.lifespan(): ...
    house.served["llama"], house.naming, house.switcher
    """

    def __init__(self, settings: Settings, mux: Mux, run_dir: Path, memory: MemoryOf = DeviceMemory) -> None:
        self.settings = settings
        self.mux = mux
        self.run_dir = run_dir
        self._memory = memory
        self.programs = Programs(run_dir, self._look)
        self.served = {one.name: self._make(one) for one in mux.members}
        self._leaving: list[Served] = []  # until the switcher has stopped them
        self._lives: dict[int, AsyncExitStack] = {}
        self.answers = Answers(settings.policy)
        self.keys = Keys(settings.api_keys)
        self.naming = self._naming(mux)
        self.switcher = Switcher(mux, self._drivers())
        self._turns: asyncio.Task[None] | None = None

    @property
    def is_switching(self) -> bool:
        """Whether anybody can have a turn."""
        return self._turns is None or not self._turns.done()

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        for one in self.served.values():
            await self._begin(one)
        self._turns = asyncio.create_task(self._run())
        tasks = (self._turns, asyncio.create_task(self.programs.watch()), asyncio.create_task(self._tidy()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for life in self._lives.values():
                await life.aclose()

    def of(self, name: str) -> Served:
        """Who answers for the model now: while a reload replaces its process, the old one until that has stopped."""
        for old in self._leaving:
            if old.name == name and self._is_there(old):
                return old
        return self.served[name]

    async def reload(self) -> str:
        """The specification is read again; what changed, in a sentence, or SettingsError and nothing has."""
        assert self.settings.models is not None
        mux = read_models(self.settings.models)
        before, after = self.served, {}
        try:
            for member in mux.members:
                old = before.get(member.name)
                is_same = old is not None and process(old.member) == process(member)
                after[member.name] = old if old is not None and is_same else self._make(member)
        except SettingsError as error:
            raise SettingsError(f"{member.name}: {error}") from error
        for member in mux.members:
            after[member.name].take(member)
        for name, one in after.items():
            if one is not before.get(name):
                await self._begin(one)
        self._leaving += [one for name, one in before.items() if one is not after.get(name)]
        self.mux, self.served = mux, after
        self.naming = self._naming(mux)
        await self.switcher.reload(mux, self._drivers())
        added, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
        changed = sorted(name for name in after.keys() & before.keys() if after[name] is not before[name])
        words = [("added", added), ("removed", removed), ("changed", changed)]
        said = "; ".join(f"{word}: {', '.join(names)}" for word, names in words if names)
        log.info("the models were read again: %s", said or "the same processes")
        return f"The models were read again ({said or 'the same processes'})."

    async def _run(self) -> None:
        """What an earlier middleware has left awake holds devices that the switcher takes for free."""
        with contextlib.suppress(Ending):
            others = await self.programs.others([one.member.program for one in self.served.values()])
            ours = (one.driver.stop() for one in self.served.values())
            await asyncio.gather(*ours, *map(self.programs.stop, others))
        await self.switcher.run()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            for one in [one for one in self._leaving if not self._is_there(one)]:
                self._leaving.remove(one)
                await self._lives.pop(id(one)).aclose()

    def _is_there(self, one: Served) -> bool:
        now = self.switcher.snapshot().members
        return any(each.name == one.name and process(each.member) == process(one.member) for each in now)

    async def _begin(self, one: Served) -> None:
        life = self._lives[id(one)] = AsyncExitStack()
        with named.of(one.name):
            await life.enter_async_context(one.lifespan())

    def _look(self) -> None:
        if self.programs.is_ending:
            self.switcher.end_switching()
        self.switcher.look()

    def _make(self, member: Member) -> Served:
        return members.make(member, self.settings, self.programs, self._memory)

    def _drivers(self) -> dict[str, Driver]:
        return {name: one.driver for name, one in self.served.items()}

    def _naming(self, mux: Mux) -> Naming:
        return Naming(((one.name, one.names) for one in mux.members), mux.default, self._adapter_of)

    def _adapter_of(self, name: str) -> str | None:
        return next((one.name for one in self.served.values() if one.has_adapter(name)), None)


def read_models(path: Path) -> Mux:
    try:
        return spec.read(path.read_bytes())
    except (OSError, spec.SpecError) as error:
        raise SettingsError(f"--models {path}: {error}") from error


def sglangs(served: Iterable[Served]) -> list[tuple[Served, Context]]:
    return [(one, one.built.context) for one in served if one.built is not None]


def living(served: Iterable[Served]) -> list[tuple[Served, Context]]:
    """Those whose engine answers now."""
    return [(one, context) for one, context in sglangs(served) if context.engine.alive]
