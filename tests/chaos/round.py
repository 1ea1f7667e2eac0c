"""One container's life: it serves, is tormented by a schedule under load, has a rest in which it is measured, and ends.
`__main__` plays as many as it is told to.
"""

from __future__ import annotations

import contextlib
import re
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import disk, family
from tests.chaos.faults import Torment
from tests.chaos.load import Asked, loaded
from tests.chaos.probing import probed
from tests.chaos.schedule import ENGINE, HAPROXY, MIDDLEWARE, PROGRAMS, SUPERVISORD, Ending, Schedule, draw
from tests.chaos.story import Story
from tests.chaos.verdict import complaints, counted, cut_by_the_middleware
from tests.server import Server, serving, wait_for

REQUEST = re.compile(r"^\[haproxy\] \S+ id=|^\[middleware\] .*INFO .*HTTP/1.1|: the server |the answer was cut short")
WARM_SECONDS = 2.0
LOG_LIMIT = 100 << 20
# What fragmentation and warm code may add; a thousand requests that leaked 16 kB each would be as much.
MEMORY_ABOVE = 16 << 20
# Connections that are kept for the next request, the check's and the probes'.
FILES_ABOVE = 12
REST = 40.0
LAST_LOAD = 2.0
END_PATIENCE = 60.0
ENV = {
    "VLLM_SHIM_ENGINE_RESTART": "in-place",
    "VLLM_SHIM_DRAIN_SECONDS": "4",
    "VLLM_SHIM_LAME_DUCK_SECONDS": "0",
    "STANDIN_QUIET": "1",
    "STANDIN_LOAD_SECONDS": "0.3",
    "STANDIN_LOAD_REFUSES": "1",
}


@dataclass
class Round:
    schedule: Schedule
    story: Story = field(default_factory=Story)
    faults: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    output: str = ""

    def __str__(self) -> str:
        # A line a request would hide the others.
        lines = [line for line in self.output.splitlines() if not REQUEST.search(line)]
        parts = (
            str(self.schedule),
            f"what happened:\n{self.story}",
            "\n".join(["the container's last lines:", *lines[-150:]]),
            "\n".join([f"{len(self.faults)} complaints:", *self.faults[:40]]),
        )
        return "\n\n".join(parts)


def play(seed: int, seconds: float) -> Round:
    with tempfile.TemporaryDirectory(prefix="chaos-") as name, disk.small(Path(name)) as small:
        played = Round(draw(seed, seconds, disk=small))
        with contextlib.ExitStack() as stack:
            # Whatever is left behind is a complaint of its own.
            server = stack.enter_context(serving(Path(name), "stand-in", env=ENV))
            server.wait_ready()
            with probed(played.story, server.port):
                _torment(played, server, Path(name))
            played.output = server.output
            _check_the_end(played, server)
    played.faults += complaints(played.story, played.asked)
    played.said.append(counted(played.story, played.asked))
    amid = sum(cut_by_the_middleware(played.story, one) for one in played.asked)
    played.said.append(f"{amid} answers cut by a killed middleware")
    return played


def _torment(played: Round, server: Server, folder: Path) -> None:
    story, schedule = played.story, played.schedule
    torment = Torment(server, story, folder)
    with loaded(server.port, schedule.seed, story) as load:
        time.sleep(WARM_SECONDS)
        before = family.sizes(server)
        torment.run(schedule)
        if schedule.ending is not Ending.ASKED:
            _wait_for_the_end(played, server)
    played.asked += load.asked
    played.faults += torment.faults + load.faults
    if schedule.ending is Ending.ASKED and server.process.poll() is None:
        _measure(played, server, before)
        with loaded(server.port, schedule.seed + 1_000_000, story) as load:
            time.sleep(LAST_LOAD)
            story.begins("SIGTERM to the container", *PROGRAMS, kills=True)
            server.process.send_signal(signal.SIGTERM)
            _wait_for_the_end(played, server)
        played.asked += load.asked
        played.faults += load.faults
    _check_deaths(played, server, torment)


def _wait_for_the_end(played: Round, server: Server) -> None:
    with contextlib.suppress(Exception):
        server.wait_end(END_PATIENCE)
        played.story.happens(f"the container has ended with {server.process.returncode}")


def _measure(played: Round, server: Server, before: dict[str, family.Size]) -> None:
    """When nobody asks any more, all is as it was: memory, open files, processes, nobody unburied."""

    def grown() -> list[str]:
        now = family.sizes(server)
        return [
            f"{name} has grown from {before[name]} to {now.get(name)}"
            for name in (SUPERVISORD, MIDDLEWARE, HAPROXY)
            if name not in now
            or now[name].memory > before[name].memory + MEMORY_ABOVE
            or now[name].files > before[name].files + FILES_ABOVE
        ]

    played.faults += _last(grown)
    played.faults += _last(lambda: [f"zombie {pid}" for pid in family.zombies(server)])
    # The three, the engine's two children, and supervisord.
    played.faults += _last(lambda: [f"processes: {found}"] if len(found := server.processes()) != 6 else [])
    played.said.append(
        "; ".join(f"{name} {before[name]} then {now}" for name, now in family.sizes(server).items() if name != ENGINE)
    )


def _last(complaint: Callable[[], list[str]]) -> list[str]:
    """What is still to be said after a rest."""
    with contextlib.suppress(AssertionError):
        wait_for(lambda: not complaint(), "rest", REST)
        return []
    return complaint()


def _check_deaths(played: Round, server: Server, torment: Torment) -> None:
    """Nobody died but by our hand."""
    if played.schedule.ending is Ending.STOLEN:
        return
    for name in PROGRAMS:
        exits = len(re.findall(rf"exited: {name} \(", server.output))
        if name == HAPROXY:
            continue  # tries to get its port back, and fails as long as another has it
        if exits > torment.deaths[name]:
            played.faults.append(f"{name} died {exits} times, of which {torment.deaths[name]} were ours")


def _check_the_end(played: Round, server: Server) -> None:
    ending, code = played.schedule.ending, server.process.poll()
    words = "".join(server.lines[-40:])
    if code is None:
        played.faults.append("the container has not ended")
        return
    if ending is Ending.ASKED and code != 0:
        played.faults.append(f"asked to end it ended with {code}")
    if ending is not Ending.ASKED:
        expected = [f"exits with code {code}", f"{ENGINE}: ", "3 exits within 600 s"]
        if ending is Ending.STOLEN:
            expected.append("address already in use")
        if code == 0 or not all(word in words for word in expected):
            played.faults.append(f"ended with {code} and not the words {expected}:\n{words}")
    if left := server.processes():
        played.faults.append(f"left behind: {left}")
    logs = sum(file.stat().st_size for file in (server.run_dir / "log").iterdir())
    if logs > LOG_LIMIT:
        played.faults.append(f"the logs have {logs >> 20} MB")
