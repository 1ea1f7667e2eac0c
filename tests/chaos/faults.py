"""Carries out a schedule on a server: each fault in a thread of its own, so that one may meet another, and each open in
the story until all serve again. `round` calls `torment`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.chaos import disk, family
from tests.chaos.probing import wait_until_serving
from tests.chaos.schedule import ENGINE, FOR_GOOD, PROGRAMS, SURVIVED_DEATHS, Fault, Kind, Schedule
from tests.chaos.story import Story
from tests.server import Server

PATIENCE = 60.0
SIGNALS = {Kind.KILL: signal.SIGKILL, Kind.SEGV: signal.SIGSEGV, Kind.TERM: signal.SIGTERM, Kind.CHILD: signal.SIGKILL}


class Torment:
    def __init__(self, server: Server, story: Story, small: Path) -> None:
        self.server = server
        self.story = story
        self.small = small
        self.faults: list[str] = []  # of the test's own, or that it never recovered
        self.deaths: dict[str, int] = dict.fromkeys(PROGRAMS, 0)
        self._deadly = threading.Lock()  # a death of an engine that is not ready yet would be another kind of death

    def run(self, schedule: Schedule) -> None:
        """Returns when all is done and undone, and all serve again or the container has ended."""
        began = self.story.now()
        threads = []
        for fault in schedule.faults:
            self._sleep(began + fault.at - self.story.now())
            threads.append(threading.Thread(target=self._one, args=(fault,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _one(self, fault: Fault) -> None:
        try:
            with self._deadly if fault.is_death_of_the_engine else contextlib.nullcontext():
                self._do(fault)
        except Exception as failure:
            self.faults.append(f"{fault}: {failure!r}")

    def _do(self, fault: Fault) -> None:
        story, server = self.story, self.server
        if fault.is_death_of_the_engine and not wait_until_serving(story, PATIENCE, self._is_over):
            if not self._is_over():
                self.faults.append(f"{fault}: the engine was not ready within {PATIENCE:.0f} s")
            return
        victim = family.leader(server, fault.target) if fault.target in PROGRAMS else server.process.pid
        if not victim or self._is_over():
            story.happens(f"{fault.target}: nobody there for {fault.kind}")
            return
        replaces = fault.kind not in (Kind.STOP, Kind.DISK, Kind.REOPEN)
        last = fault.is_death_of_the_engine and (self.deaths[ENGINE] == SURVIVED_DEATHS or fault.seconds == FOR_GOOD)
        targets = PROGRAMS if last or fault.kind is Kind.RELOAD else (fault.target,)
        trouble = story.begins(f"{fault.target}: {fault.kind}", *targets, kills=replaces)
        try:
            self._act(fault, victim)
        finally:
            trouble.undone = story.happens(f"{fault.target}: {fault.kind} is over")
        if replaces:
            self._wait_for_others({fault.target: victim} if fault.target in PROGRAMS else {})
            since = story.now()
            if self._wait(lambda: all(story.answers_since(since, target) for target in targets)):
                trouble.back = story.happens(f"{fault.target}: back after {fault.kind}")
        if wait_until_serving(story, PATIENCE, self._is_over):
            trouble.ended = story.happens(f"{fault.target}: all serve after {fault.kind}")
        elif not self._is_over():
            self.faults.append(f"{fault}: not all served within {PATIENCE:.0f} s after it")

    def _act(self, fault: Fault, victim: int) -> None:
        server = self.server
        with contextlib.suppress(ProcessLookupError):
            match fault.kind:
                case Kind.KILL | Kind.SEGV | Kind.TERM:
                    self.deaths[fault.target] += 1
                    os.kill(victim, SIGNALS[fault.kind])
                case Kind.CHILD:
                    self.deaths[fault.target] += 1
                    os.kill(family.child_of_engine(server) or victim, signal.SIGKILL)
                case Kind.STOP:
                    os.kill(victim, signal.SIGSTOP)
                    self._sleep(fault.seconds)
                    os.kill(victim, signal.SIGCONT)
                case Kind.STEAL | Kind.MUTE:
                    self.deaths[fault.target] += 1
                    os.kill(victim, signal.SIGKILL)
                    with taken(server.port + (fault.target == ENGINE), mute=fault.kind is Kind.MUTE):
                        self._sleep(fault.seconds)
                case Kind.DISK:
                    with disk.full(self.small):
                        self._sleep(fault.seconds)
                case Kind.RESTART:
                    self.story.happens(server.supervisorctl("restart", fault.target).strip().replace("\n", "; "))
                case Kind.REOPEN:
                    os.kill(victim, signal.SIGUSR2)
                case Kind.RELOAD:
                    before = family.leaders(server)
                    os.kill(victim, signal.SIGHUP)
                    self._wait_for_others(before)

    def _is_over(self) -> bool:
        return self.server.process.poll() is not None

    def _wait_for_others(self, dead: Mapping[str, int]) -> None:
        self._wait(lambda: all(family.leader(self.server, program) not in (0, pid) for program, pid in dead.items()))

    def _wait(self, what: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self._is_over():
            if what():
                return True
            time.sleep(0.02)
        return False

    def _sleep(self, seconds: float) -> None:
        """Or until the container has ended."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._is_over():
            time.sleep(min(left, 0.05))


@contextmanager
def taken(port: int, *, mute: bool) -> Iterator[None]:
    """By somebody who takes connections and closes them, at the end if he is mute; from when the port is free."""
    over = threading.Event()
    thief = socket.socket()
    thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + 5
    while True:
        try:
            thief.bind(("127.0.0.1", port))
            break
        except OSError:
            if time.monotonic() > deadline:
                thief.close()
                raise
    thief.listen()
    thief.settimeout(0.05)

    def take() -> None:
        with contextlib.ExitStack() as held:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    client = held.enter_context(thief.accept()[0])
                    if not mute:
                        client.close()

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        thief.close()
