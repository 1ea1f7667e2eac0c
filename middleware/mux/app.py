"""Puts several models together: the house, the front before it, and what runs beside both.
`middleware.__main__` serves what `create_mux` returns.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from middleware.device_memory import DeviceMemory
from middleware.mux.control import MuxControl
from middleware.mux.front import Front
from middleware.mux.house import House
from middleware.mux.members import MemoryOf
from middleware.page import app as page
from middleware.page.several import Several as PageOfSeveral
from middleware.settings import Settings
from switcher.spec import Mux


class Application:
    """The front, and uvicorn's lifespan around the house."""

    def __init__(self, house: House, memory: MemoryOf) -> None:
        self.house = house
        self._memory = memory
        self._front = Front(house)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._front(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.house.lifespan())
            await stack.enter_async_context(self._beside())
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def _beside(self) -> AsyncIterator[None]:
        """What serves beside the API: the control socket, and the page for people."""
        settings = self.house.settings
        serving = []
        if settings.control_socket is not None:
            serving.append(asyncio.create_task(MuxControl(self.house).serve(settings.control_socket)))
        # Not by a reload: the port of a page is that of the start.
        if port := settings.page_port:
            serving.append(asyncio.create_task(page.serve(port, settings, PageOfSeveral(self.house, self._memory))))
        try:
            yield
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


def create_mux(settings: Settings, mux: Mux, run_dir: Path, memory: MemoryOf = DeviceMemory) -> ASGIApp:
    return Application(House(settings, mux, run_dir, memory), memory)
