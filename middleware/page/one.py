"""What the page shows of one model: the engine's state and its changes, and the live numbers.
Made by `middleware.app` where a page is asked for.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from middleware.context import Context
from middleware.device_memory import DeviceMemory
from middleware.page.devices import Devices
from middleware.page.numbers import numbers
from middleware.page.source import Document

LOOK_SECONDS = 0.25
LOOKS = 4  # without a change, and it is told again
KEPT = 200  # changes


class One:
    """Implements `source.Source`."""

    orders: Sequence[str] = ()

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self.run_dir = settings.control_socket and settings.control_socket.parent
        self._context = context
        self._devices = Devices(lambda _: DeviceMemory())
        self._state, self._since = context.engine.state, context.engine.since
        self._changes: deque[Document] = deque(maxlen=KEPT)

    async def watch(self) -> None:
        """The engine tells nobody; changes that come and go between two looks are not seen."""
        while True:
            self._look()
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        engine = self._context.engine
        if engine.state is self._state:
            return
        change = {"at": engine.since, "model": self._name, "from": self._state.value, "to": engine.state.value}
        self._changes.append({**change, "why": engine.why, "seconds": max(0.0, engine.since - self._since)})
        self._state, self._since = engine.state, engine.since

    async def changes(self) -> AsyncIterator[None]:
        engine = self._context.engine
        while True:
            now = (engine.state, engine.phase, engine.why)
            yield
            for _ in range(LOOKS):
                await asyncio.sleep(LOOK_SECONDS)
                if (engine.state, engine.phase, engine.why) != now:
                    break

    def models(self) -> list[Document]:
        engine, flow = self._context.engine, self._context.metrics.flow
        return [
            {
                "model": self._name,
                "names": list(self._context.model.names),
                "state": engine.state.value,
                "phase": engine.phase.value if engine.phase else None,
                "seconds": max(0.0, time.time() - engine.since),
                "in_flight": flow.requests,
                "error": None if engine.refusal() is None else engine.why or None,
                "stalled_seconds": engine.stalled_seconds,
            }
        ]

    def timeline(self) -> list[Document]:
        self._look()
        return list(self._changes)

    async def numbers(self) -> dict[str, dict[str, float]]:
        return {self._name: await numbers(self._context)} if self._context.engine.alive else {}

    async def devices(self) -> list[Document]:
        used = await self._devices.used(None)
        return [] if used is None else [{"name": "all devices", "used_gib": used, "declared_gib": None}]

    def logs(self) -> Mapping[str, Path]:
        engine_log = self._context.settings.engine_log
        return {} if engine_log is None else {engine_log.stem: engine_log}

    async def order(self, name: str, word: str) -> str:
        raise KeyError(word)

    @property
    def _name(self) -> str:
        names = self._context.model.names
        return names[0] if names else "the model"
