"""Hears of every program that was born, died or could not start, has its death explained and judged, and starts the
end of the container if need be. `programs` reports to it; `container` asks it at the end for the loss.
"""

import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from supervisor.states import SupervisorStates

from supervision import shimlog
from supervision.causes import CAUSES, ONCE_SERVED, OUT_OF_MEMORY, Heals
from supervision.diagnosis import SIGNALS, Diagnosis, diagnose
from supervision.lastwords import Loss, describe, obituary
from supervision.memory import Kills
from supervision.progress import READY, forget
from supervision.state import Death
from supervision.verdict import GiveUp, Leave, Restart, judge, policy_for

if TYPE_CHECKING:
    from supervision.options import Options


LEFT = "it is started again when it is asked for"
# SGLang's lines about a request, which may hold a prompt (--enable-log-outputs): the words of a client explain nothing.
QUOTES = re.compile(r'(Receive|Finish): (obj|rid)=|"(GET|POST) /')


@dataclass(slots=True)
class History:
    """Of one program's lives."""

    deaths: list[float] = field(default_factory=list)
    failed_starts: int = 0  # since it was last ready
    was_ever_ready: bool = False

    def add(self, now: float, *, was_ready: bool) -> None:
        self.deaths.append(now)
        self.failed_starts = 0 if was_ready else self.failed_starts + 1
        self.was_ever_ready |= was_ready

    def can_heal(self, diagnosis: Diagnosis | None) -> bool:
        heals = diagnosis.cause.heals if diagnosis else Heals.PERHAPS
        return heals is Heals.PERHAPS or (heals is Heals.ONCE_READY and self.was_ever_ready)


class Deaths:
    def __init__(self, options: "Options") -> None:
        self.loss: Loss | None = None
        self._options = options
        self._histories: dict[str, History] = {}
        self.kills = Kills(options.state.cgroup)

    def born(self, program: Any) -> None:
        self._options.state.born(program.config.name)

    def died(self, program: Any, status: int, *, asked: bool, cause: str = "") -> None:
        """`asked`: supervisord itself stopped it, for an operator or in a shutdown; that never counts. `cause`: why we
        killed it, if we did."""
        name, settings = program.config.name, self._options.settings
        was_ready = self._options.state.progress.has_served(settings, name)
        forget(settings, name)
        if asked:
            return
        if not self._is_running():
            # Too late to be judged, and still worth knowing: what ran in it did not end in order.
            loss = self._explain(name, status, was_ready=was_ready, cause=cause)
            self._options.state.died(name, _death(replace(loss, why=cause or "while the container was stopping")))
            self._options.warn(f"{name}: {loss.manner}, while the container was stopping")
            return
        now = time.monotonic()
        history = self._histories.setdefault(name, History())
        history.add(now, was_ready=was_ready)
        loss = self._explain(name, status, was_ready=was_ready, cause=cause)
        verdict = judge(
            policy_for(name, settings),
            was_ready=was_ready,
            deaths=history.deaths,
            now=now,
            failed_starts=history.failed_starts,
            can_heal=history.can_heal(loss.diagnosis),
        )
        because = f"{cause}; " if cause else ""
        match verdict:
            case GiveUp(reason):
                self._end(replace(loss, why=f"{because}{reason}"))
            case Leave():
                self._leave(replace(loss, why=cause or LEFT))
            case Restart(after_seconds=seconds):
                wait = f"{because}restart in {seconds:g} s" if seconds else f"{because}restart at once"
                self._options.state.died(name, _death(replace(loss, why=wait)))
                if seconds:
                    for said in (loss.diagnosis, f"{loss.manner}; {wait}"):
                        if said:
                            self._options.warn(f"{name}: {said}")
                    program.restart_after(seconds)

    def could_not_start(self, program: Any) -> None:
        """A missing command is missing at the next try too; for all but engines that is left to startretries."""
        settings, name = self._options.settings, program.config.name
        if name in settings.engines and name not in settings.members:
            self.fatal(program, program.spawnerr)

    def fatal(self, program: Any, reason: str) -> None:
        if self._is_running():
            how, code = describe(program.wait_status)
            loss = Loss(program.config.name, how, reason, code, phase=self._options.state.phase)
            if loss.program in self._options.settings.members:
                self._leave(loss)
            else:
                self._end(loss)

    def _leave(self, loss: Loss) -> None:
        """One of several models: the switcher sees it dead, and others go on."""
        options = self._options
        options.state.died(loss.program, _death(loss))
        if loss.diagnosis:
            options.warn(f"{loss.program}: {loss.diagnosis}")
        options.warn(str(loss))
        if options.settings.shim_log is not None:
            with suppress(shimlog.Unwritable):
                words = obituary(loss, options.transcript.last_lines(loss.program))
                shimlog.append(options.settings.shim_log, words)

    def _end(self, loss: Loss) -> None:
        self.loss = loss
        self._options.state.died(loss.program, _death(loss))
        self._options.warn(f"{loss}; the container ends")
        # From here it is an ordinary shutdown, as after SIGTERM.
        self._options.mood = SupervisorStates.SHUTDOWN
        self._options.wake.poke()

    def _explain(self, name: str, status: int, *, was_ready: bool, cause: str) -> Loss:
        """All but why it is not started again. What is no engine has a phase as well: the container's."""
        state = self._options.state
        how, code = describe(status)
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        phase, is_start, diagnosis = state.phase, False, None
        if name in self._options.settings.engines:
            phase, is_start = (READY, False) if was_ready else (state.progress.look(name), True)
            exit_code = None if number else os.WEXITSTATUS(status)
            if was_ready:
                said = "\n".join(line for line in self._options.transcript.last_lines(name) if not QUOTES.search(line))
                diagnosis = diagnose(said.encode(), exit_code, ONCE_SERVED)
            else:
                diagnosis = diagnose(self._options.transcript.tail(name), exit_code, CAUSES)
        # SGLang kills itself as well, when one of its processes has failed: SIGKILL alone means nothing.
        explained = "" if cause else self.kills.explain(killed=number == signal.SIGKILL)
        # Of what else may heal by itself, such as the death of a rank, that kill is the reason.
        if explained and is_start and (diagnosis is None or diagnosis.cause.heals is Heals.PERHAPS):
            diagnosis = Diagnosis(OUT_OF_MEMORY, "")
        explained = explained or SIGNALS.get(number, "")
        return Loss(name, how, "", code, phase, is_start, explained, diagnosis)

    def _is_running(self) -> bool:
        return bool(self._options.mood == SupervisorStates.RUNNING)


def _death(loss: Loss) -> Death:
    known = (loss.explained, loss.why, str(loss.diagnosis or ""))
    return Death(at=time.time(), how=loss.how, why="; ".join(filter(None, known)), phase=loss.phase)
