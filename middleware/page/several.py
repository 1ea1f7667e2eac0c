"""What the page shows of several models: all that the switcher knows, and the orders that an operator may give it.
Made by `middleware.mux.app` where a page is asked for.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from middleware.mux import told
from middleware.mux.house import House, living
from middleware.mux.members import MemoryOf
from middleware.mux.own import ORDERS
from middleware.page.devices import Devices
from middleware.page.numbers import numbers
from middleware.page.source import Document

log = logging.getLogger("middleware.page")


class Several:
    """Implements `source.Source`."""

    orders: Sequence[str] = tuple(ORDERS)

    def __init__(self, house: House, memory: MemoryOf) -> None:
        self.run_dir = house.run_dir
        self._house = house
        self._devices = Devices(memory)

    async def changes(self) -> AsyncIterator[None]:
        async for _ in self._house.switcher.subscribe():
            yield

    def models(self) -> list[Document]:
        return [told.member(self._house, one) for one in self._house.switcher.snapshot().members]

    def timeline(self) -> list[Document]:
        return told.timeline(self._house.switcher.snapshot())

    async def numbers(self) -> dict[str, dict[str, float]]:
        return {one.name: await numbers(context) for one, context in living(self._house.served.values())}

    async def devices(self) -> list[Document]:
        mux = self._house.mux
        numbered = sorted({device for member in mux.members for device in member.devices})
        return [
            {
                "name": f"device {number}",
                "used_gib": await self._devices.used(number),
                "declared_gib": mux.device_memory.get(number),
            }
            for number in numbered
        ]

    def logs(self) -> Mapping[str, Path]:
        """Of all processes that there may be: those that a reload has removed, too."""
        members = [each.member for each in self._house.switcher.snapshot().members]
        return {member.program: Path(member.engine_log) for member in members if member.engine_log}

    async def order(self, name: str, word: str) -> str:
        if name not in self._house.served:
            raise KeyError(name)
        log.info("%s: %s was asked for on the page", name, word)
        return (await ORDERS[word](self._house.switcher, name)).value
