"""supervisord's Supervisor with the hooks that need its loop: signals at once, kept sockets, sweeps, the order's pace.
`container` makes and runs it.
"""

import signal
import time
from typing import Any

from supervisor import supervisord
from supervisor.states import STOPPED_STATES, SupervisorStates

from supervision import orphans
from supervision.certificates import Certificates
from supervision.drain import Drain
from supervision.kin import Kin
from supervision.lameduck import LameDuck
from supervision.options import Options
from supervision.signals import ASK_TO_END, hold_signals
from supervision.sockets import KeptSockets
from supervision.stuck import Stuck
from supervision.wedged import Wedged

# `make run` and Ctrl-C in a terminal send the same wish twice within milliseconds: that is not impatience.
IMPATIENCE_SECONDS = 1.0


class Supervisor(supervisord.Supervisor):  # type: ignore[misc]  # supervisor has no types
    options: Options

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.sockets = KeptSockets()
        self.lame_duck = LameDuck(options.settings, options.wake)
        self.drain = Drain(options.settings, options.wake)
        self.certificates = Certificates(options.settings, options.info, options.warn)
        self.wedged = Wedged(options)
        self.kin = Kin(options)
        self.stuck = Stuck(options)
        self._is_up = False
        self._asked_to_end_at: float | None = None

    def add_process_group(self, config: Any) -> bool:
        try:
            added = super().add_process_group(config)
        except ValueError as error:
            if self._is_up:
                raise  # supervisorctl update: the answer to the operator
            self.options.usage(error)  # a port that is taken (4.3.0: a traceback); exit 2
        if added:
            self.sockets.keep(self.process_groups[config.name])
        return bool(added)

    def remove_process_group(self, name: str) -> bool:
        removed = bool(super().remove_process_group(name))
        if removed:
            self.sockets.release(name)
        return removed

    def runforever(self) -> None:
        self._is_up = True
        self.options.wake.open(self.options.get_socket_map())
        self.options.wake.poke()  # 4.3.0 forks only after its first poll, 1 s
        try:
            super().runforever()
        finally:
            hold_signals()  # until the next life of this loop can hear them: a reload takes its time
            self.kin.close()
            self.options.wake.close()

    def handle_signal(self) -> None:
        """All that have come. 4.3.0 takes one a turn, so that a TERM behind a CHLD waits for the next second."""
        received: list[int] = self.options.signal_receiver._signals_recvd  # noqa: SLF001
        while received:
            number = received[0]
            super().handle_signal()
            if number == signal.SIGCHLD:
                self._sweep()
            elif number in ASK_TO_END:
                self._asked_to_end(number)

    @property
    def was_asked_to_end(self) -> bool:
        """By a signal that came when the loop had turned for the last time."""
        return any(number in ASK_TO_END for number in self.options.signal_receiver._signals_recvd)  # noqa: SLF001

    def tick(self, now: float | None = None) -> None:
        """In each turn of the loop, at least once a second."""
        super().tick(now)
        self.wedged.go_on()
        self.options.deaths.kills.watch()
        self.options.state.look(self._processes(), self.options.mood)
        if self.options.mood == SupervisorStates.RUNNING:
            self.certificates.look()
            self.wedged.look(self._processes())
            self.kin.look(self._processes())
            self.stuck.look(self._processes())

    def ordered_stop_groups_phase_1(self) -> None:
        is_held = (
            self.options.mood == SupervisorStates.SHUTDOWN
            and self.options.deaths.loss is None  # a dead engine has nobody to wave goodbye to
            and self.lame_duck.holds()
        )
        if is_held:
            return
        self.sockets.release_unused(self.process_groups)
        if self.options.mood < SupervisorStates.RUNNING:
            self.drain.begin(engine_is_dead=self.options.deaths.loss is not None)
            self.drain.look(self._processes())
        self._stop_members_together()
        super().ordered_stop_groups_phase_1()
        if self.stop_groups and not self.stop_groups[-1].get_unstopped_processes():
            self.options.wake.poke()  # 4.3.0 waits for the end of a poll, 1 s, for each group that is already dead

    def _stop_members_together(self) -> None:
        """4.3.0 stops group by group, and each may take all of its seconds: of several models only one has them."""
        members = self.options.settings.members
        if self.stop_groups and self.stop_groups[-1].config.name in members:
            for group in self.stop_groups[:-1]:
                if group.config.name in members:
                    group.stop_all()

    def _sweep(self) -> None:
        """After every death: of a program, whose orphans are ours now, and of an orphan, whose children are."""
        living = {orphans.life(process.config.name, process.pid) for process in self._processes() if process.pid}
        for pid in orphans.kill_orphans(living):
            self.options.warn(f"killed orphan {pid}")
        # What died is started again, or the next group stopped, in the next turn of the loop: now, not in 1 s.
        self.options.wake.poke()

    def _asked_to_end(self, number: int) -> None:
        now = time.monotonic()
        if self._asked_to_end_at is None:
            self._asked_to_end_at = now
            if number == signal.SIGINT:
                self.lame_duck.shorten()
        elif now - self._asked_to_end_at >= IMPATIENCE_SECONDS:
            self.options.warn("asked to end a second time: killing all")
            self.lame_duck.end()
            for process in self._processes():
                if process.pid and process.get_state() not in STOPPED_STATES:
                    process.kill(signal.SIGKILL)

    def _processes(self) -> list[Any]:
        return [process for group in self.process_groups.values() for process in group.processes.values()]
