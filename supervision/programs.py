"""supervisord's process classes with our ears in them: marked at birth, heard while alive, reported at death.
`options` puts the configs of this module in the place of supervisord's; all else follows from them.
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

from supervisor.dispatchers import POutputDispatcher
from supervisor.options import EventListenerConfig, FastCGIProcessConfig, ProcessConfig
from supervisor.process import FastCGISubprocess, Subprocess
from supervisor.states import ProcessStates

from supervision import evidence, leftovers, orphans
from supervision.drain import END_ANSWERS, MIDDLEWARE
from supervision.progress import forget
from supervision.signals import held_signals, let_child_hear
from supervision.transcript import Channel, ChannelHandler

# middleware/phases.py looks for it.
BIRTH_LINE = "[%Y-%m-%d %H:%M:%S] supervisor: started\n"

# supervisor has no types, so each of its classes is Any to mypy: hence the `misc` below.


class Watched:
    """Goes before Subprocess or FastCGISubprocess, whose methods it wraps."""

    config: Any
    group: Any
    pid: int
    state: int
    delay: float
    backoff: int
    laststart: float
    killing: bool
    spawnerr: str | None

    cause: str = ""  # why we killed it, if we did
    wait_status: int | None = None  # of the last death; None while there was none since the last try to start
    channels: tuple[Channel, ...] = ()
    _wait: float = 0.0

    def spawn(self) -> int | None:
        self.wait_status = None
        self.cause = ""
        self._wait = 0.0
        if not self.pid:  # `supervisorctl start` while it is stopping comes here too, and starts nothing
            self._take_up()
            self._clear_leftovers()
        with held_signals():  # see let_child_hear
            pid: int | None = super().spawn()  # type: ignore[misc]
        if pid:
            self.config.options.deaths.born(self)
        if self.state == ProcessStates.BACKOFF:
            self.config.options.deaths.could_not_start(self)
        return pid

    def _take_up(self) -> None:
        """One of several models is started with what the file says now: 4.3.0 would have its group removed and added
        between two of its lives, and only the switcher knows when that is. Under one name only the size of its log
        can be another, its share among more or fewer models: a process that changes is another program."""
        options, name = self.config.options, self.config.name
        if name in options.settings.members:
            for group in options.process_group_configs:
                if group.name == name and group != self.group.config:
                    self.group.config, self.config = group, group.process_configs[0]

    def _clear_leftovers(self) -> None:
        options, name = self.config.options, self.config.name
        folder = options.settings.prometheus_dir
        forget(options.settings, name)
        if folder is not None and name in options.settings.engines:
            leftovers.clear(folder / name, options.warn)

    def _spawn_as_child(self, filename: str, argv: list[str]) -> None:
        let_child_hear(ignoring=(END_ANSWERS,) if self.config.name == MIDDLEWARE else ())
        os.environ[orphans.MARK] = orphans.life(self.config.name, os.getpid())
        super()._spawn_as_child(filename, argv)  # type: ignore[misc]

    def finish(self, pid: int, status: int) -> None:
        asked = self.killing
        orphans.kill_group(pid)
        super().finish(pid, status)  # type: ignore[misc]
        for channel in self.channels:
            channel.finish()
        self.wait_status = status
        self.config.options.deaths.died(self, status, asked=asked, cause=self.cause)

    def kill(self, number: int) -> str | None:
        if number == signal.SIGKILL and self.state == ProcessStates.STOPPING:
            self._outlasted_its_stop()
        said: str | None = super().kill(number)  # type: ignore[misc]
        return said

    def _outlasted_its_stop(self) -> None:
        options, name = self.config.options, self.config.name
        # A second SIGTERM kills before its time is over.
        if name in options.settings.engines and self.pid and time.time() >= self.delay:
            found = evidence.short(
                name, self.pid, f"still there {self.config.stopwaitsecs} s after it was asked to end"
            )
            file = evidence.File(Path(options.childlogdir), name)
            file.add(found)
            options.warn(f"{name} outlasted its stop and is killed; what it did: {file.path or found}")

    def give_up(self) -> None:
        """BACKOFF -> FATAL: too many tries, or a shutdown, in which nobody listens."""
        tries, options = self.backoff, self.config.options
        super().give_up()  # type: ignore[misc]
        if self.wait_status is None:
            options.deaths.fatal(self, f"{self.spawnerr} (tries: {tries})")
        else:
            options.deaths.fatal(self, f"exits in a row within {self.config.startsecs} s of the start: {tries}")

    def restart_after(self, seconds: float) -> None:
        """EXITED or BACKOFF -> BACKOFF, from which supervisord starts it when `delay` is over.

        BACKOFF, not a long EXITED: an operator can `stop` it, and a shutdown need not wait for it.
        """
        if self.state == ProcessStates.EXITED:
            self.change_state(ProcessStates.BACKOFF)  # type: ignore[attr-defined]
        self.backoff = 1  # the budget is ours, startretries is not to end it
        self.delay = time.time() + seconds
        self._wait = seconds

    def _check_and_adjust_for_system_clock_rollback(self, test_time: float) -> None:
        # 4.3.0 takes a delay longer than `backoff` for a clock that was set back, and cuts it to that.
        if self._wait and self.state == ProcessStates.BACKOFF:
            self.delay = min(self.delay, test_time + self._wait)
        else:
            super()._check_and_adjust_for_system_clock_rollback(test_time)  # type: ignore[misc]


class Program(Watched, Subprocess):  # type: ignore[misc]
    pass


class FastCGIProgram(Watched, FastCGISubprocess):  # type: ignore[misc]
    pass


class HeardConfig:
    """Goes before a ProcessConfig: what the process says is logged to the container's output too."""

    options: Any
    process_class: Any = Program

    def make_process(self, group: Any = None) -> Any:
        process = self.process_class(self)
        process.group = group
        return process

    def make_dispatchers(self, process: Any) -> Any:
        self.options.transcript.begin_life(process.config.name)
        dispatchers, pipes = super().make_dispatchers(process)  # type: ignore[misc]
        channels = []
        for dispatcher in dispatchers.values():
            if isinstance(dispatcher, POutputDispatcher):
                if dispatcher.normallog is None:  # stdout_logfile=NONE
                    dispatcher.normallog = dispatcher.childlog = self.options.getLogger()
                elif process.config.name in self.options.settings.engines:
                    # In the file alone: where this life begins. What stands before is of another, or another container.
                    dispatcher.normallog.info(time.strftime(BIRTH_LINE).encode())
                channel = self.options.transcript.channel(process.config.name)
                # First: a full disk makes the file's handler fail, and nothing behind it would be called.
                dispatcher.normallog.handlers.insert(0, ChannelHandler(channel))
                channels.append(channel)
        process.channels = tuple(channels)
        return dispatchers, pipes


class ProgramConfig(HeardConfig, ProcessConfig):  # type: ignore[misc]
    pass


class FastCGIProgramConfig(HeardConfig, FastCGIProcessConfig):  # type: ignore[misc]
    process_class = FastCGIProgram


class ListenerConfig(HeardConfig, EventListenerConfig):  # type: ignore[misc]
    pass


OURS = {
    ProcessConfig: ProgramConfig,
    FastCGIProcessConfig: FastCGIProgramConfig,
    EventListenerConfig: ListenerConfig,
}
