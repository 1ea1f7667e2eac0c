"""supervisord's programs as the members' drivers need them: start one, stop one, and whether it runs.
One for all members, made by `middleware.mux.app`; supervisord is asked in a thread, as it may hang.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from operate import supervisord
from switcher.exceptions import DriverError

log = logging.getLogger("middleware.mux")

INTERVAL_SECONDS = 0.5
SETTLE_SECONDS = 0.05  # between looks while a stop is waited for


class Programs:
    """programs = Programs(run_dir, look)    # `look`: called when one has ended
    task = create_task(programs.watch())
    await programs.start("sglang-a"); programs.runs("sglang-a"); await programs.stop("sglang-a")
    """

    def __init__(self, folder: Path, changed: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._changed = changed
        self._known: dict[str, dict[str, Any]] = {}
        self._silent = ""

    async def watch(self) -> None:
        while True:
            before = {name for name in self._known if self.runs(name)}
            await self._look()
            if any(not self.runs(name) for name in before):
                self._changed()
            await asyncio.sleep(INTERVAL_SECONDS)

    def runs(self, program: str) -> bool:
        """As far as supervisord said last; a process that has ended since is seen at once."""
        known = self._known.get(program)
        if known is None or known["state"] not in supervisord.UP:
            return False
        return known["pid"] is None or Path(f"/proc/{known['pid']}").exists()

    def said(self, program: str) -> str:
        known = self._known.get(program)
        if known is None:
            return self._silent or "supervisord has no such program"
        return f"supervisord says {known['state']}" + (f": {known['said']}" if known["said"] else "")

    async def start(self, program: str) -> None:
        """Its process runs; whether it is ready is for others to find out. DriverError if it cannot be started."""
        try:
            await asyncio.to_thread(supervisord.start, self._folder, program)
        except supervisord.Silent as silence:
            raise DriverError(f"{program} was not started: {silence}") from silence
        await self._look()

    async def stop(self, program: str) -> None:
        """Ends when the process is gone and not before: supervisord sends TERM, and KILL when its time is over."""
        said = ""
        while True:
            try:
                await asyncio.to_thread(supervisord.stop, self._folder, program)
            except supervisord.Silent as silence:
                if str(silence) != said:  # A process that may run must not be taken for gone: ask until it is known.
                    said = str(silence)
                    log.warning("%s: not stopped yet: %s", program, said)
            await self._look()
            known = self._known.get(program)
            if not self._silent and (known is None or known["state"] in supervisord.ENDED):
                return
            await asyncio.sleep(SETTLE_SECONDS if not said else INTERVAL_SECONDS)

    async def _look(self) -> None:
        try:
            _, told = await asyncio.to_thread(supervisord.programs, self._folder)
        except supervisord.Silent as silence:
            # What it said last stands: a supervisord that is slow has let nobody die.
            self._silent = str(silence)
            return
        self._silent = ""
        self._known = {one["name"]: one for one in told}
