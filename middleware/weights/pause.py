"""Who holds SGLang still, and how: a client by /pause, or we for the time of an update; the engine object is told so.
Made by `middleware.app`, ordered by the endpoints, asked by `middleware.watch` each time SGLang becomes ready.
"""

import asyncio
import contextlib
import enum
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from middleware.calls import Calls
from middleware.engine import Engine, State
from middleware.errors import Refused, error
from middleware.flow import ABORT, ABORT_ALL, Flow
from middleware.upstream import UpstreamError
from middleware.word import Word

log = logging.getLogger("middleware.weights")

# Of one order. An aborting pause of 0.5.23 answers when the last request has ended, and looks once a second.
ORDER_SECONDS = 240.0
LOOK_SECONDS = 0.1
FLUSHES = 50
READY_SECONDS = 10.0
# prime-rl gives up after ten refusals, which is a minute, and waits five for one answer: an engine may load for longer.
BACK_SECONDS = 240.0
# In the place of a mode: of the pause that an update makes for itself.
UPDATE = "update"


class Mode(enum.Enum):
    """What becomes of requests, by vLLM's names. Behind a pause that keeps, new ones are let in and wait as well."""

    ABORT = "abort"
    WAIT = "wait"
    KEEP = "keep"


class _Rank(msgspec.Struct):
    num_running_reqs: int = 0
    num_waiting_reqs: int = 0


class _Loads(msgspec.Struct):
    loads: list[_Rank]


class Pause:
    """pause = Pause(engine, calls, flow, word)
    await pause.begin(Mode.KEEP, clear_cache=False)
    await pause.end()
    async with pause.held("its weights are replaced"): ...   # one at a time, and SGLang makes no token meanwhile

    `word` is the file of `middleware.word`.
    """

    __slots__ = ("_calls", "_engine", "_flow", "_frozen", "_lock", "_word", "mode")

    def __init__(self, engine: Engine, calls: Calls, flow: Flow, word: Path | None = None) -> None:
        self.mode: Mode | None = None  # that a client has asked for
        self._engine = engine
        self._calls = calls
        self._flow = flow
        self._word = Word(word)
        self._lock = asyncio.Lock()
        self._frozen = False  # its scheduler makes no step: an aborting pause would wait for ever for requests to end

    def has_weights(self) -> None:
        """SGLang has those that somebody wants: what was withheld for want of them is let in again."""
        self._engine.withhold("")

    @property
    def is_asked_for(self) -> bool:
        return self.mode is not None and self._engine.state is State.PAUSED

    async def begin(self, mode: Mode, *, clear_cache: bool) -> None:
        """A second time it is no fault; the last one's mode holds. One that fails is taken back."""
        if self._engine.state is State.ASLEEP:
            return  # It stands still, and more than that.
        await self.engine_is_back()
        before = self.mode
        try:
            if mode is Mode.WAIT:
                await self._drain()
            async with self._lock:
                self._engine.require_alive()
                self._ask_for(mode)
                if mode is Mode.ABORT:
                    await self._abort()
                if clear_cache and mode is not Mode.KEEP:
                    await self._flush()
                if mode is not Mode.ABORT:
                    await self._freeze()
        except Refused:
            if before is None and self.mode is mode:
                with contextlib.suppress(Refused):
                    await self.end()
            raise

    async def end(self) -> None:
        """Also of a pause that we know nothing of: whoever is not paused is not harmed."""
        await self.engine_is_back()
        async with self._lock:
            self._engine.require_alive()
            self._require("is asleep", self._engine.released)
            await self._go_on("it was resumed")

    async def engine_is_back(self) -> None:
        """One that is started again is waited for; what is ordered of one that does not come is refused."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BACK_SECONDS):
                while not self._engine.alive:  # noqa: ASYNC110 - the engine object tells nobody when it changes
                    await asyncio.sleep(LOOK_SECONDS)

    @contextlib.asynccontextmanager
    async def held(self, why: str) -> AsyncIterator[None]:
        """What a client has paused stays paused; what runs is frozen, as long as the block lasts."""
        async with self._lock:
            self._engine.require_alive()
            self._require("has given back the memory of its weights", self._engine.released & {"weights"})
            if self._frozen or self.mode is Mode.ABORT:
                yield
                return
            if self.mode is None:
                # Before SGLang stands still: a middleware that ends here leaves nobody who would resume it.
                self._word.write(UPDATE)
                self._engine.pause(why, admits=True)
            try:
                await self._freeze()
                yield
            except Refused:
                with contextlib.suppress(Refused):
                    await self._let_go()
                raise
            await self._let_go()

    async def _let_go(self) -> None:
        """The engine may have died of it: then there is nobody to resume."""
        if self._engine.state is State.PAUSED:
            await (self._go_on("its weights have been replaced") if self.mode is None else self._thaw())

    async def is_there(self) -> bool:
        """Whether the SGLang that has just become ready is paused: from before a restart of ours, or of a silence."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                status, _ = await self._calls.fetch("GET", "/ready")
        except (TimeoutError, UpstreamError):
            return False  # The next look at its health tells more.
        return status == 503  # Before 0.5.20 there is no /ready.

    async def found(self, *, held: bool) -> None:
        if held and self._lock.locked():
            # Our own order is still on its way: the engine was silent, and no more.
            self._engine.pause("it has not ended its pause", admits=self.mode in (None, Mode.KEEP))
            return
        word = self._word.read()
        self._frozen, self.mode = held, None
        if not held:
            self._word.write("")
        elif word == UPDATE:
            log.warning("SGLang is paused for an update that nobody waits for any more: it goes on")
            await self.end()
        else:
            self.mode = next((mode for mode in Mode if mode.value == word), Mode.KEEP)
            log.warning("SGLang is paused (mode %s): it waits for /resume", self.mode.value)
            self._engine.pause("it was paused before", admits=self.mode is Mode.KEEP)

    @staticmethod
    def _require(state: str, released: frozenset[str]) -> None:
        """SGLang does not ask whether its memory is there."""
        if released:
            raise Refused(error(409, f"The engine {state}. Wake it first: /wake_up."))

    def _ask_for(self, mode: Mode) -> None:
        self.mode = mode
        self._word.write(mode.value)
        self._engine.pause("a client asked for it", admits=mode is Mode.KEEP)

    async def _drain(self) -> None:
        """Nothing new is let in; what runs has all the time it takes, unless somebody resumes."""
        async with self._lock:
            self._engine.require_alive()
            if self._frozen:
                await self._thaw()
            self._ask_for(Mode.WAIT)
        while self._flow.active or await self._busy():
            await asyncio.sleep(LOOK_SECONDS)
            if not self.is_asked_for or self.mode is not Mode.WAIT:
                raise Refused(
                    error(409, "The pause was ended before all requests had: somebody else resumed or paused.")
                )

    async def _busy(self) -> bool:
        loads = self._calls.read(*await self._calls.ask("GET", "/v1/loads"), _Loads).loads
        return any(one.num_running_reqs or one.num_waiting_reqs for one in loads)

    async def _abort(self) -> None:
        if self._frozen:
            # In 0.5.23 the order would wait inside of the lock that /continue_generation needs: for ever, both.
            await self._order(ABORT, ABORT_ALL)
            await self._thaw()
        await self._order("/pause_generation", {"mode": "abort"})

    async def _flush(self) -> None:
        """SGLang 0.5.23 refuses while the last step of the last request is still on its way."""
        for _ in range(FLUSHES):
            status, _content = await self._calls.ask("POST", "/flush_cache")
            if status == 200:
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise Refused(error(503, "The engine did not clear its cache, and is not paused. Please retry."))

    async def _freeze(self) -> None:
        if not self._frozen:
            # Before it is asked: its answer may be lost.
            self._frozen = True
            await self._order("/pause_generation", {"mode": "in_place"})

    async def _thaw(self) -> None:
        await self._order("/continue_generation", {})
        self._frozen = False

    async def _go_on(self, why: str) -> None:
        await self._thaw()
        self.mode = None
        self._word.write("")
        if self._engine.state is State.PAUSED:
            self._engine.become(State.READY, why)

    async def _order(self, path: str, body: dict[str, Any]) -> None:
        """SGLang obeys, or Refused."""
        try:
            async with asyncio.timeout(ORDER_SECONDS):
                status, content = await self._calls.ask("POST", path, msgspec.json.encode(body))
        except TimeoutError as failure:
            words = f"The engine did not obey {path} within {ORDER_SECONDS:g} s. Please retry."
            raise Refused(error(504, words)) from failure
        if status != 200:
            log.warning("SGLang answered %d to %s: %.300r", status, path, content)
            raise Refused(error(502, f"The engine did not obey {path} (status {status}). Please retry."))
