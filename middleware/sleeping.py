"""Puts SGLang to sleep and wakes it, in the one order that it survives: still, idle, released, seen freed; and back.
Ordered by `middleware.endpoints.sleep` for one model, and by `middleware.mux.driver` for each of several.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from middleware.engine import Engine, State
from middleware.errors import Refused
from middleware.model import Model
from middleware.saver import KV_CACHE, TAGS, WEIGHTS, Saver, SleepError
from middleware.tasks import Task
from middleware.weights.pause import Mode
from middleware.weights.weights import Weights
from middleware.word import Word

log = logging.getLogger("middleware.sleeping")

NOT_ENABLED = "Sleep mode is not enabled. Start the server with --enable-sleep-mode"


class Sleeping:
    """await sleeping.sleep(1, Mode.ABORT)        # or SleepError
    awake = await sleeping.wake(["weights"])    # False: some of it is still released
    """

    def __init__(
        self,
        engine: Engine,
        weights: Weights,
        model: Model,
        saver: Saver,
        word: Path | None = None,
        *,
        enabled: bool,
        backup: bool,
    ) -> None:
        self.saver = saver
        self.level = 0  # of the last sleep
        self._engine = engine
        self._pause = weights.pause
        self._updates = weights.updates
        self._updates.then = self._reloaded
        self._model = model
        self._word = Word(word)  # outlives us: SGLang does not tell what it has released
        self._enabled = enabled
        self._backup = backup  # released weights are kept on the host
        self._lock = asyncio.Lock()
        self._is_stale = False  # its weights are not the model's until they have been read again

    @property
    def is_asleep(self) -> bool:
        return self._engine.state is State.ASLEEP

    async def sleep(self, level: int, mode: Mode, *, undo: bool = True) -> None:
        """Harmless of one that sleeps. `undo`: one whose memory was not freed is woken again."""
        began = time.monotonic()
        async with self._lock:
            if self.is_asleep and WEIGHTS in self._engine.released:
                return
            if level == 0:
                await self._still(mode)
                return
            if mode is Mode.KEEP:
                raise SleepError(400, "mode=keep holds requests whose KV cache would be released: give abort or wait")
            self._require()
            if not self.is_asleep:
                await self._still(mode)
            await self._release(TAGS, undo=undo)
            self.level = level
            self._is_stale = not self._backup
            log.info("SGLang sleeps (level %d), which took %.2f s", level, time.monotonic() - began)

    async def release_kv_cache(self) -> None:
        """Only of an engine that stands still already and has no requests, as in vLLM."""
        async with self._lock:
            self._require()
            if self.is_asleep:
                raise SleepError(400, "release_kv_cache_memory() requires all executor memory to be resident")
            if not self._pause.is_asked_for or self._pause.mode is Mode.KEEP:
                raise SleepError(400, "release_kv_cache_memory() requires a completed pause first")
            await self._release((KV_CACHE,), undo=True)

    async def wake(self, tags: Sequence[str] | None = None, *, reload: bool = True) -> bool:
        """Whether it is awake. As in vLLM it is harmless of one that is, and for what was not released.

        Without `reload` weights that are lost are somebody else's to bring, and the sleep ends with them.
        """
        began = time.monotonic()
        async with self._lock:
            if not self.is_asleep:
                if self._pause.is_asked_for:
                    await self._resume()
                return True
            released = self._engine.released
            wanted = released if tags is None else frozenset(tags) - {"scheduling"}
            if not wanted <= released:
                log.warning("nothing is woken: of %s only %s is released", sorted(wanted), sorted(released))
                return False
            if wanted:
                await self.saver.resume(wanted)
                self._is_asleep_of(released - wanted)
            if self._engine.released:
                return False
            if self._is_stale:
                if not reload:
                    return False
                await self._reload()
            await self._go_on()
            log.info("SGLang is awake, which took %.2f s", time.monotonic() - began)
            return True

    async def _reloaded(self) -> None:
        """It has been given weights, by us or by a trainer: a sleep that waited for them ends."""
        if WEIGHTS not in self._engine.released:
            self._is_stale = False
        if self._lock.locked():
            return  # Who holds it goes on by himself.
        async with self._lock:
            if self.is_asleep and not self._engine.released:
                await self._go_on()

    async def _reload(self) -> None:
        try:
            await self._updates.reload()
        except Refused as refused:
            raise _told(refused) from refused

    def found(self, held: bool) -> None:
        """Of an SGLang that has just become ready, and is held still by somebody before us or is not."""
        released = frozenset(self._word.read().split()) if held else frozenset()
        if released:
            log.warning("SGLang is asleep (%s are released): it waits for /wake_up", ", ".join(sorted(released)))
            self._is_stale = not self._backup
            self._engine.asleep(released)
            return
        self._remember(released)
        if not held:  # Another one than that which was put to sleep.
            self._is_stale, self.level = False, 0

    def _is_asleep_of(self, released: frozenset[str]) -> None:
        self._remember(released)
        self._engine.asleep(released)

    def _remember(self, released: frozenset[str]) -> None:
        self._word.write(" ".join(sorted(released)))

    async def prove(self) -> None:
        """It makes a token."""
        tasks = self._model.tasks
        await self.saver.prove(generates=tasks is None or Task.GENERATE in tasks)

    def _require(self) -> None:
        if not self._engine.alive:
            raise SleepError(503, f"The engine is {self._engine.state.value}: {self._engine.why}")
        if not self._enabled:
            raise SleepError(400, NOT_ENABLED)
        if self.saver.trouble:
            raise SleepError(501, f"The engine cannot sleep: {self.saver.trouble}")

    async def _release(self, tags: Sequence[str], *, undo: bool) -> None:
        """What is not released yet of these."""
        before = self._engine.released
        missing = frozenset(tags) - before
        self._engine.asleep(before)
        try:
            await self.saver.still()
            released = await self.saver.release(missing)
            self._is_asleep_of(before | missing)
            await self.saver.see(released)
        except SleepError:
            if undo:
                with contextlib.suppress(SleepError):
                    await self._undo(before)
            raise

    async def _undo(self, before: frozenset[str]) -> None:
        if more := self._engine.released - before:
            await self.saver.resume(more)
            self._is_asleep_of(before)
        if not before:
            await self._go_on()

    async def _go_on(self) -> None:
        """A generation waits at the gate that /continue_generation opens: the proof comes behind it, then clients."""
        await self._resume()
        await self.prove()
        if self.is_asleep:
            self._engine.become(State.READY, "it was woken")

    async def _still(self, mode: Mode) -> None:
        try:
            await self._pause.begin(mode, clear_cache=False)
        except Refused as refused:
            raise _told(refused) from refused

    async def _resume(self) -> None:
        try:
            await self._pause.end()
        except Refused as refused:
            raise _told(refused) from refused


def _told(refused: Refused) -> SleepError:
    return SleepError(refused.response.status_code, refused.sentence.rstrip("."))
