"""Hears of every program that died or could not start, has it judged, and starts the end of the container if need be.
`programs` reports to it; `container` asks it at the end for the loss.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supervisor.states import SupervisorStates

from supervision.lastwords import Loss, describe
from supervision.verdict import GiveUp, Restart, judge, policy_for

if TYPE_CHECKING:
    from supervision.options import Options


class Deaths:
    def __init__(self, options: "Options") -> None:
        self.loss: Loss | None = None
        self._options = options
        self._history: dict[str, list[float]] = {}

    def died(self, program: Any, status: int, *, asked: bool, started: float, cause: str = "") -> None:
        """`asked`: supervisord itself stopped it, for an operator or in a shutdown; that never counts. `cause`: why we
        killed it, if we did."""
        name = program.config.name
        was_ready = self._end_readiness(name, started)
        if asked or not self._is_running():
            return
        now = time.monotonic()
        deaths = self._history.setdefault(name, [])
        deaths.append(now)
        because = f"{cause}; " if cause else ""
        match judge(policy_for(name, self._options.settings), was_ready=was_ready, deaths=deaths, now=now):
            case GiveUp(reason):
                self._give_up(name, status, f"{because}{reason}")
            case Restart(after_seconds=seconds) if seconds:
                self._options.warn(f"{name}: {describe(status)[0]}; {because}restart in {seconds:g} s")
                program.restart_after(seconds)

    def could_not_start(self, program: Any) -> None:
        """A missing command is missing at the next try too; for all but engines that is left to startretries."""
        if program.config.name in self._options.settings.engines:
            self.fatal(program, program.spawnerr)

    def fatal(self, program: Any, reason: str) -> None:
        if self._is_running():
            self._give_up(program.config.name, program.wait_status, reason)

    def _give_up(self, name: str, status: int | None, reason: str) -> None:
        how, code = describe(status)
        self.loss = Loss(name, how, reason, code)
        self._options.warn(f"{self.loss}; the container ends")
        # From here it is an ordinary shutdown, as after SIGTERM.
        self._options.mood = SupervisorStates.SHUTDOWN
        self._options.wake.poke()

    def _is_running(self) -> bool:
        return bool(self._options.mood == SupervisorStates.RUNNING)

    def _end_readiness(self, name: str, started: float) -> bool:
        """Whether the engine had served in this life. The file of an earlier life, or container, says nothing."""
        settings = self._options.settings
        if settings.ready_dir is None or name not in settings.engines:
            return False
        file: Path = settings.ready_dir / name
        try:
            ready = file.stat().st_mtime >= started
            file.unlink()
        except OSError:
            return False
        return ready
