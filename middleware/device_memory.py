"""How much memory of the GPUs is in use, as their driver tells: AMD's files in /sys, or nvidia-smi.
Read by `middleware.saver` before and after a release, because SGLang answers OK even where nothing was freed.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path

DRM = Path("/sys/class/drm")
NODES = Path("/dev/dri")
NVIDIA = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits")
TOOL_SECONDS = 10.0
MIB = 1024 * 1024


class DeviceMemory:
    """memory = DeviceMemory((0, 1))     # without numbers: all that this container has
    await memory.used()              # bytes; None where no driver tells
    """

    def __init__(self, devices: Iterable[int] = (), drm: Path = DRM, nodes: Path = NODES) -> None:
        self._devices = tuple(devices)
        self._drm = drm
        self._nodes = nodes

    async def used(self) -> int | None:
        found = self._amd() or await _nvidia()
        if not found or any(number >= len(found) for number in self._devices):
            return None
        return sum(found[number] for number in self._devices or range(len(found)))

    def _amd(self) -> list[int]:
        """In the order of their render nodes, as ROCm counts; /sys shows those too that the container was not given."""
        found: dict[int, int] = {}
        for file in self._drm.glob("renderD*/device/mem_info_vram_used"):
            node = file.parts[-3]
            if (self._nodes / node).exists():
                with contextlib.suppress(OSError, ValueError):
                    found[int(node.removeprefix("renderD"))] = int(file.read_text())
        return [found[number] for number in sorted(found)]


async def _nvidia() -> list[int]:
    try:
        tool = await asyncio.create_subprocess_exec(
            *NVIDIA, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return []
    try:
        async with asyncio.timeout(TOOL_SECONDS):
            said, _ = await tool.communicate()
        return [int(line) * MIB for line in said.decode("ascii", "replace").split("\n") if line.strip()]
    except (TimeoutError, ValueError):
        return []
    finally:
        if tool.returncode is None:
            tool.kill()
            await tool.wait()
