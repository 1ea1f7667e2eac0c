"""supervisord's programs as the members' drivers need them: start one, stop one, and whether it runs.
One for all members, made by `middleware.mux.app`; supervisord is asked in a thread, as it may hang.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from operate import supervisord
from switcher.exceptions import DriverError, Ending

log = logging.getLogger("middleware.mux")

INTERVAL_SECONDS = 0.5
OF_MODELS = ("sglang-", "model-")
SETTLE_SECONDS = 0.05  # between looks while a stop is waited for


class Programs:
    """programs = Programs(run_dir, look)    # `look`: called when one has ended, or supervisord is ending
    task = create_task(programs.watch())
    await programs.start("sglang-a"); programs.runs("sglang-a"); await programs.stop("sglang-a")
    """

    def __init__(self, folder: Path, changed: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._changed = changed
        self._known: dict[str, dict[str, Any]] = {}
        self._silent = ""
        self._looks = asyncio.Lock()  # one after the other, or an old answer would take a newer one's place
        self.is_ending = False  # supervisord shuts down: it has stopped nobody yet, and will start nobody

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
        return known["pid"] is None or self._has_process(program)

    def _has_process(self, program: str) -> bool:
        pid = self._known[program]["pid"] if program in self._known else None
        return pid is not None and Path(f"/proc/{pid}").exists()

    def _ends(self) -> None:
        if not self.is_ending:
            self.is_ending = True
            self._changed()

    async def others(self, ours: Collection[str]) -> list[str]:
        """Models of an earlier specification, which a reload has left to serve to their end."""
        await self._told()
        return [name for name in self._known if name.startswith(OF_MODELS) and name not in ours]

    def said(self, program: str) -> str:
        known = self._known.get(program)
        if known is None:
            return self._silent or "supervisord has no such program"
        return f"supervisord says {known['state']}" + (f": {known['said']}" if known["said"] else "")

    async def start(self, program: str) -> None:
        """Its process runs; whether it is ready is for others to find out. DriverError if it cannot be started."""
        while True:
            try:
                await _answered(supervisord.start, self._folder, program)
                break
            except supervisord.Ending as ending:
                self._ends()
                raise Ending(f"{program} was not started: {ending}") from ending
            except supervisord.Denied as denial:
                raise DriverError(f"{program} was not started: {denial}") from denial
            except supervisord.Silent as silence:
                # Whether it does is not known, and to ask again is harmless.
                log.warning("%s: not started yet: %s", program, silence)
                await asyncio.sleep(INTERVAL_SECONDS)
        await self._told()

    async def stop(self, program: str) -> None:
        """Ends when the process is gone and not before: supervisord sends TERM, and KILL when its time is over."""
        said, is_told = "", False
        while True:
            try:
                await asyncio.to_thread(supervisord.stop, self._folder, program)
                is_told = True
            except supervisord.Ending as ending:
                self._ends()
                if not self._has_process(program):
                    return
                if not is_told:
                    raise Ending(f"{program} was not stopped: {ending}") from ending
            except supervisord.Silent as silence:
                if str(silence) != said:  # A process that may run must not be taken for gone: ask until it is known.
                    said = str(silence)
                    log.warning("%s: not stopped yet: %s", program, said)
            await self._look()
            known = self._known.get(program)
            if not self._silent and (known is None or known["state"] in supervisord.ENDED):
                return
            await asyncio.sleep(SETTLE_SECONDS if not said else INTERVAL_SECONDS)

    async def heed(self) -> None:
        """Before a step that only leads to a start or a stop: Ending if there will be none."""
        await self._look()
        if self.is_ending:
            raise Ending(self._silent)

    async def _told(self) -> None:
        """Until it has answered: what it said before an order is not what came of it."""
        await self._look()
        while self._silent and not self.is_ending:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self._look()

    async def _look(self) -> None:
        async with self._looks:
            await self._ask()

    async def _ask(self) -> None:
        try:
            _, told = await asyncio.to_thread(supervisord.programs, self._folder)
        except supervisord.Ending as ending:
            self._silent = str(ending)
            self._ends()
            return
        except supervisord.Silent as silence:
            # What it said last stands: a supervisord that is slow has let nobody die.
            self._silent = str(silence)
            return
        self._silent = ""
        self._known = {one["name"]: one for one in told}


async def _answered(order: Callable[[Path, str], None], folder: Path, program: str) -> None:
    """Who is cancelled waits as well: an order must not arrive after the one that follows it."""
    asked = asyncio.create_task(asyncio.to_thread(order, folder, program))
    try:
        await asyncio.shield(asked)
    except asyncio.CancelledError:
        await asyncio.wait([asked])
        asked.exception()  # nobody need ask
        raise
