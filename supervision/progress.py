"""How far each engine has come in its present life, from what it says and from its ready file.
`deaths` names the phase it died in; `state` writes down the container's.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from middleware.phases import Phase, last_sign, lost_file
from supervision.settings import Settings
from supervision.transcript import Transcript

READY = "ready"
STOPPING = "stopping"
START = Phase.START.value


class Progress:
    """By what was heard and not by the log file, which a full disk ends, and a rotation empties."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._phases: dict[str, str] = {}
        self._fired_up: set[str] = set()

    def born(self, engine: str) -> None:
        self._phases[engine] = START
        self._fired_up.discard(engine)

    def look(self, engine: str) -> str:
        """Of a life that is not ready yet, or was not when it ended."""
        sign = last_sign(self._transcript.tail(engine))
        if sign is not None:
            # Fired up, as SGLang says, and not yet seen to answer.
            self._phases[engine] = (sign.phase or Phase.WARM_UP).value
            self._fired_up.add(engine) if sign.phase is None else self._fired_up.discard(engine)
        return self._phases.get(engine, START)

    def is_fired_up(self, engine: str) -> bool:
        """By its own word: nobody asks a worker rank."""
        self.look(engine)
        return engine in self._fired_up

    def has_served(self, settings: Settings, engine: str) -> bool:
        return self.is_fired_up(engine) if settings.worker_rank else is_ready(settings, engine)

    def of_all(self, settings: Settings, processes: list[Any]) -> str:
        """The container is as far as the engine that is least so."""
        engines = [process for process in processes if process.config.name in settings.engines]
        # One of several models is as often stopped as not: those that run count.
        names = [e.config.name for e in engines if e.pid or e.config.name not in settings.members]
        behind = [self.look(name) for name in names if not self.has_served(settings, name)]
        order = [phase.value for phase in Phase]
        return min(behind, key=order.index, default=READY)


def ready_file(settings: Settings, program: str) -> Path | None:
    return settings.ready_dir / program if settings.ready_dir and program in settings.engines else None


def give_up(settings: Settings, program: str, why: str) -> None:
    """Word for the middleware that an engine is lost, although it may still answer; until its next life."""
    file = ready_file(settings, program)
    if file is not None:
        with suppress(OSError):  # a full disk: then it is lost when it is dead
            lost_file(file).write_text(f"{why}\n")


def forget(settings: Settings, program: str) -> None:
    """Before each life: what was said of the last one."""
    file = ready_file(settings, program)
    for name in (file, file and lost_file(file)):
        if name:
            with suppress(OSError):
                name.unlink()


def is_ready(settings: Settings, program: str) -> bool:
    """By no clock, which may be set back: the file is taken away before each life, and at its end."""
    file = ready_file(settings, program)
    return file is not None and file.exists()
