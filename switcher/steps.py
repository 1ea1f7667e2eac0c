"""The steps of one member, each with its limit: bring it, put it away, and never end before it is proven gone.
Run by `switcher.entry` as tasks of their own, whose outcome the switcher reads; no client's coming or going ends one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from switcher.driver import Driver
from switcher.exceptions import DriverError, Ending
from switcher.spec import Member, Tier
from switcher.states import State
from switcher.tickets import Clock

log = logging.getLogger("switcher")

# The whole of TERM, patience and KILL is the driver's.
STOP_SECONDS = 120.0
ABORT_SECONDS = 10.0
# Memory that was released may be seen free a little later.
GONE_SECONDS = 5.0
GONE_INTERVAL_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    state: State
    seconds: Mapping[str, float] = field(default_factory=dict)  # by phase
    failed: str = ""  # the phase that failed, though the way was gone to an end
    cause: str = ""
    ending: bool = False  # a step was refused, as the whole server ends: nothing is proven gone


class Walk:
    """One member's way through its steps."""

    __slots__ = ("_clock", "_driver", "_ending", "_member", "_seconds", "_tell")

    def __init__(self, driver: Driver, member: Member, clock: Clock, tell: Callable[[str], None]) -> None:
        self._driver = driver
        self._member = member
        self._clock = clock
        self._tell = tell
        self._seconds: dict[str, float] = {}
        self._ending = False

    async def bring(self, *, asleep: bool) -> Outcome:
        """AWAKE; or it is stopped, gone, and to be left alone for a while. One that does not wake is started anew."""
        failed, cause = "", ""
        if asleep:
            cause = await self._step("wake", self._driver.wake, self._member.switch_seconds)
            if not cause:
                return self._came_to(State.AWAKE)
            self._tell(cause)
            await self._until_gone()
            if self._ending:
                return self._came_to(State.BACKOFF, "wake", cause)
            failed = "wake"
        if not (trouble := await self._step("start", self._driver.start, self._member.ready_seconds)):
            return self._came_to(State.AWAKE, failed, cause)
        self._tell(trouble)
        await self._until_gone()
        return self._came_to(State.BACKOFF, "start", trouble)

    async def put_away(self, tier: Tier) -> Outcome:
        """ASLEEP, or STOPPED: asked for, or because it could not be put to sleep. AWAKE, if nobody has touched it."""
        cause = ""
        if tier is not Tier.STOPPED and self._driver.can_sleep():
            cause = await self._step("sleep", self._driver.sleep, self._member.switch_seconds)
            if self._ending:
                return self._came_to(State.AWAKE)
            if not cause and await self._is_gone(GONE_SECONDS):
                return self._came_to(State.ASLEEP)
            # SGLang answers 200 to a release that frees nothing (0.5.23 without --enable-memory-saver).
            cause = cause or f"its memory was not seen free {GONE_SECONDS:g} s after it was released"
            self._tell(cause)
        was_asked = await self._until_gone()
        if not was_asked and not cause:
            return self._came_to(State.AWAKE)
        return self._came_to(State.STOPPED, "sleep" if cause else "", cause)

    async def give_up(self, start: asyncio.Task[Outcome]) -> Outcome:
        """STOPPED; its start ends before its stop begins, and leaves nothing behind that comes after it."""
        start.cancel()
        await asyncio.wait([start])
        await self._until_gone()
        if self._ending:
            return self._came_to(State.BACKOFF, "start", "it was given up before it was ready")
        return self._came_to(State.STOPPED)

    async def bury(self, then: State, cause: str) -> Outcome:
        """Its process has ended by itself; what it left of itself on the devices must go too."""
        await self._until_gone()
        return self._came_to(then, "died", cause)

    async def abort(self) -> str:
        return await self._step("abort", self._driver.abort, ABORT_SECONDS)

    def _came_to(self, state: State, failed: str = "", cause: str = "") -> Outcome:
        return Outcome(state, self._seconds, failed, cause, self._ending)

    async def _until_gone(self) -> bool:
        """Not to be given up while anybody may come next: he would find the devices full. Whether it was asked."""
        pause, was_asked = 1.0, False
        while True:
            cause = await self._step("stop", self._driver.stop, STOP_SECONDS)
            if self._ending:
                return was_asked
            was_asked = True
            if not cause and await self._is_gone(GONE_SECONDS):
                return was_asked
            self._tell(cause or "it was stopped, and its devices do not read as free")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _is_gone(self, within: float) -> bool:
        until = self._clock() + within
        while True:
            try:
                async with asyncio.timeout(within):
                    if await self._driver.gone():
                        return True
            except (DriverError, TimeoutError) as exc:
                log.warning("%s: whether it is gone cannot be told: %s", self._member.name, exc or "no answer")
            except Exception:
                log.exception("%s: whether it is gone cannot be told", self._member.name)
            if self._clock() >= until:
                return False
            await asyncio.sleep(GONE_INTERVAL_SECONDS)

    async def _step(self, phase: str, call: Callable[[], Awaitable[None]], limit: float) -> str:
        """The cause, if it failed."""
        began = self._clock()
        try:
            async with asyncio.timeout(limit):
                await call()
        except DriverError as exc:
            self._ending = isinstance(exc, Ending)
            return str(exc) or f"its {phase} failed"
        except TimeoutError:
            return f"its {phase} did not end within {limit:g} s"
        except Exception as exc:
            log.exception("%s: its %s failed", self._member.name, phase)
            return f"its {phase} failed: {type(exc).__name__}"
        finally:
            self._seconds[phase] = self._seconds.get(phase, 0.0) + self._clock() - began
        return ""
