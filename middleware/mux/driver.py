"""How a member that is an SGLang of ours starts, stops, sleeps and wakes: by supervisord, and by its engine object.
One a member, made by `middleware.mux.members`; called by the switcher, one step at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from middleware.engine import Engine, State
from middleware.mux import named
from middleware.mux.programs import Programs
from middleware.mux.running import ABORTED, Running
from middleware.saver import SleepError
from middleware.sleeping import Sleeping
from middleware.weights.pause import Mode
from switcher.exceptions import DriverError
from switcher.spec import Member

T = TypeVar("T")

LOOK_SECONDS = 0.05


class SglangDriver:
    """Implements `switcher.driver.Driver`."""

    def __init__(
        self, member: Member, engine: Engine, sleeping: Sleeping, programs: Programs, running: Running
    ) -> None:
        self._member = member
        self._engine = engine
        self._sleeping = sleeping
        self._programs = programs
        self._running = running

    async def start(self) -> None:
        """Ready is by the word of its own watcher: SGLang's /health makes a token. Another one is asked for here."""
        self._over()
        await self._programs.start(self._member.program)
        for is_last in (False, True):
            await ready(self._programs, self._member.program, self._is_ready)
            try:
                await self._obeyed(self._sleeping.prove())
            except DriverError:
                if is_last:
                    raise
                # The watcher's word may have been of the process before this one.
                self._over()
            else:
                return

    async def stop(self) -> None:
        await self._programs.stop(self._member.program)
        self._over()

    async def sleep(self) -> None:
        """Nothing is undone of a sleep that fails: the switcher stops it."""
        await self._programs.heed()
        await self._obeyed(self._sleeping.sleep(1, Mode.WAIT, undo=False))

    def can_sleep(self) -> bool:
        return not self._sleeping.saver.trouble

    async def wake(self) -> None:
        """One that lives and does not come back is not put to sleep again: each switch would fail of the same."""
        try:
            await self._obeyed(self._woken())
        except (DriverError, asyncio.CancelledError) as failure:
            if self.alive():
                why = str(failure) or "it had too little time"
                self._sleeping.saver.distrust(f"it was asleep and did not wake: {why}")
            raise
        if not await self._is_ready():
            raise DriverError(f"it was asleep, and its engine is {self._engine.state.value}: {self._engine.why}")

    async def abort(self) -> None:
        """Its requests end here; SGLang hears of it as of clients that leave, and of what it holds besides."""
        await self._running.end(ABORTED)

    async def gone(self) -> bool:
        """Asleep is only what was seen to be freed."""
        return self._sleeping.is_asleep or not self._programs.runs(self._member.program)

    def alive(self) -> bool:
        return self._programs.runs(self._member.program)

    def busy_reason(self) -> str | None:
        return "it is paused" if self._engine.state is State.PAUSED else None

    async def _is_ready(self) -> bool:
        return self._engine.state is State.READY

    async def _woken(self) -> None:
        if not await self._sleeping.wake():
            raise DriverError("a part of its memory is still released")

    def _over(self) -> None:
        """Its watcher would find out as well, and a start that came before it would take the old word for the new."""
        if self._engine.alive:
            with named.of(self._member.name):
                self._engine.become(State.GONE, "it was stopped")

    async def _obeyed(self, step: Awaitable[T]) -> T:
        try:
            with named.of(self._member.name):
                return await step
        except SleepError as failure:
            raise DriverError(str(failure)) from failure


async def ready(programs: Programs, program: str, is_ready: Callable[[], Awaitable[bool]]) -> None:
    """DriverError when its process has ended before; how long it may take is the switcher's to say."""
    while not await is_ready():
        if not programs.runs(program):
            raise DriverError(f"its process ended before it was ready ({programs.said(program)}); its log says why")
        await asyncio.sleep(LOOK_SECONDS)
