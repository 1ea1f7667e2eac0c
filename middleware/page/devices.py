"""The devices' memory for the page, read at most every few seconds however many look: nvidia-smi is a process.
Made by `one` and `several`.
"""

import time
from collections.abc import Callable

from middleware.device_memory import DeviceMemory

KEPT_SECONDS = 5.0
GIB = 1024**3


class Devices:
    """devices = Devices(DeviceMemory)
    await devices.used(0)       # GiB; None where no driver tells
    """

    def __init__(self, memory: Callable[[tuple[int, ...]], DeviceMemory]) -> None:
        self._memory = memory
        self._known: dict[int | None, tuple[float, float | None]] = {}

    async def used(self, number: int | None) -> float | None:
        """Of all of them without a number."""
        at, used = self._known.get(number, (0.0, None))
        now = time.monotonic()
        if number not in self._known or now - at > KEPT_SECONDS:
            self._known[number] = now, used  # who asks meanwhile gets the last
            read = await self._memory(() if number is None else (number,)).used()
            used = None if read is None else round(read / GIB, 2)
            self._known[number] = now, used
        return used
