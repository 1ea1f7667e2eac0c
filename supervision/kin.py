"""The processes of SGLang's own without which an engine answers nothing: when one dies, the engine is as good as dead.
`supervisor` has it look in each turn of its loop; of a death the kernel then tells at once.
"""

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from supervision import orphans, stacks
from supervision.progress import give_up, is_ready

if TYPE_CHECKING:
    from supervision.options import Options

# SGLang 0.5.23, `managers/`: scheduler, detokenizer, data_parallel_controller. When one of them dies SGLang notices
# within a second and then sleeps for five before it ends, with a /health of 200 and requests that hang.
VITAL = ("sglang::scheduler", "sglang::detokenizer", "sglang::data_parallel_controller")
# With it SGLang lives on when a rank dies.
OUTLIVES_A_RANK = "--elastic-ep-backend"
# Its own line about the death comes within a second, and ours is about the line.
LAST_LINE_SECONDS = 1.2


class _Relative:
    """A process in supervisord's poll, by a descriptor that is readable when it has died (Linux 5.3)."""

    def __init__(self, pid: int, title: str) -> None:
        self.descriptor = os.pidfd_open(pid)
        self.name = f"{title} (pid {pid})"
        self.is_dead = False

    def readable(self) -> bool:
        return not self.is_dead

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        self.is_dead = True

    def handle_error(self) -> None:
        """Called by the loop when reading failed; nothing is read."""


class Kin:
    def __init__(self, options: "Options") -> None:
        self._options = options
        self._families: dict[int, list[_Relative]] = {}  # of the engines that are ready, by their pid
        self._found: dict[int, float] = {}  # the engine whose relative has died, and when that was seen

    def look(self, processes: list[Any]) -> None:
        engines = [process for process in processes if process.config.name in self._options.settings.engines]
        for pid in set(self._families) - {process.pid for process in engines}:
            self._forget(pid)
        for process in engines:
            if process.pid in self._families:
                self._mourn(process)
            elif process.pid and is_ready(self._options.settings, process.config.name):
                self._meet(process)

    def close(self) -> None:
        """Before a reload: it closes every file descriptor from 5 on, and would poll these numbers."""
        for pid in list(self._families):
            self._forget(pid)

    def _meet(self, process: Any) -> None:
        family = self._families[process.pid] = []
        if OUTLIVES_A_RANK in process.config.command:
            return
        for pid in stacks.group(process.pid):
            title = stacks.title(pid)
            if title.startswith(VITAL):
                with suppress(OSError):  # gone already, or a kernel without such descriptors
                    family.append(_Relative(pid, title))
        self._options.get_socket_map().update({one.descriptor: one for one in family})

    def _mourn(self, process: Any) -> None:
        dead = next((one for one in self._families[process.pid] if one.is_dead), None)
        if dead is None or process.cause or process.killing:
            return
        now = time.monotonic()
        if process.pid not in self._found:
            self._found[process.pid] = now
            why = f"its process {dead.name} has died"
            self._options.warn(f"{process.config.name}: {why}")
            give_up(self._options.settings, process.config.name, why)
            self._options.wake.after(LAST_LINE_SECONDS)
        elif now - self._found[process.pid] >= LAST_LINE_SECONDS:
            process.cause = f"its process {dead.name} has died"
            orphans.kill_group(process.pid)

    def _forget(self, pid: int) -> None:
        self._found.pop(pid, None)
        for one in self._families.pop(pid):
            self._options.get_socket_map().pop(one.descriptor, None)
            os.close(one.descriptor)
