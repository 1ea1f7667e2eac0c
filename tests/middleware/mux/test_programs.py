"""supervisord's programs as drivers use them, over a real supervisord that shuts down."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from middleware.mux.programs import Programs
from operate.supervisord import SECONDS
from switcher.exceptions import Ending
from tests.middleware.mux.several import CONFIG, PROGRAM
from tests.middleware.serving import PATIENCE, ROOT, process_environment, wait_for

# It outlasts the TERM, so that the shutdown lasts until its end is asked for.
DEAF = "/bin/sh -c 'trap : TERM; while [ ! -e {folder}/over ]; do sleep 0.1; done'"


@dataclass(frozen=True)
class Running:
    folder: Path
    process: subprocess.Popen[bytes]


@pytest.fixture
def supervisord() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="mux") as name:  # short: a socket's path has 107 bytes
        folder = Path(name)
        text = CONFIG.format(folder=folder)
        for program in ("sglang-awake", "sglang-stopped"):
            command = DEAF.format(folder=folder)
            text += PROGRAM.format(name=program, command=command, root=ROOT, environment="", folder=folder)
        (folder / "supervisord.conf").write_text(text.replace("stopwaitsecs=10", "stopwaitsecs=600"))
        words = (sys.executable, "-m", "supervisor.supervisord", "-c", str(folder / "supervisord.conf"))
        quiet = subprocess.DEVNULL
        with subprocess.Popen(words, env=process_environment(), stdout=quiet, stderr=quiet) as process:
            try:
                wait_for((folder / "supervisor.sock").exists, "supervisord listens")
                yield Running(folder, process)
            finally:
                (folder / "over").touch()
                process.terminate()


def test_a_supervisord_that_shuts_down_starts_and_stops_nobody_and_says_so(supervisord: Running) -> None:
    async def story() -> None:
        told = asyncio.Event()
        programs = Programs(supervisord.folder, told.set)
        await programs.start("sglang-awake")
        await programs.heed()
        supervisord.process.send_signal(signal.SIGTERM)
        watching = asyncio.create_task(programs.watch())
        async with asyncio.timeout(PATIENCE):
            await told.wait()
        watching.cancel()
        with pytest.raises(Ending, match="shutting down"):
            await programs.heed()
        with pytest.raises(Ending, match="stopped was not started: supervisord is shutting down"):
            await programs.start("sglang-stopped")
        with pytest.raises(Ending, match="awake was not stopped: supervisord is shutting down"):
            await programs.stop("sglang-awake")
        assert programs.runs("sglang-awake")
        await programs.stop("sglang-stopped")
        (supervisord.folder / "over").touch()
        await asyncio.to_thread(wait_for, lambda: not programs.runs("sglang-awake"), "its end")

    asyncio.run(story())


@contextlib.contextmanager
def held(folder: Path) -> Iterator[tuple[Path, threading.Event, threading.Event]]:
    """A way to the supervisord there, on which the first answer is kept back: `kept` until `released`."""
    kept, released = threading.Event(), threading.Event()

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as other:
                other.connect(str(folder / "supervisor.sock"))
                answering = threading.Thread(target=self.answer, args=(other,))
                answering.start()
                while asked := self.request.recv(65536):
                    other.sendall(asked)
                other.shutdown(socket.SHUT_RDWR)
                answering.join()

        def answer(self, other: socket.socket) -> None:
            while answer := other.recv(65536):
                if not kept.is_set() and b"<name>description</name>" in answer:
                    kept.set()
                    released.wait(PATIENCE)
                with contextlib.suppress(BrokenPipeError):  # who waited for it has given up
                    self.request.sendall(answer)

    with tempfile.TemporaryDirectory(prefix="way") as name:
        server = socketserver.ThreadingUnixStreamServer(f"{name}/supervisor.sock", Way)
        with server:
            serving = threading.Thread(target=server.serve_forever)
            serving.start()
            try:
                yield Path(name), kept, released
            finally:
                released.set()
                server.shutdown()
                serving.join()


def test_an_answer_from_before_a_start_is_not_taken_for_what_came_of_it(supervisord: Running) -> None:
    async def story(folder: Path, kept: threading.Event, released: threading.Event) -> None:
        programs = Programs(folder)
        before = asyncio.create_task(programs.heed())
        assert await asyncio.to_thread(kept.wait, PATIENCE)
        starting = asyncio.create_task(programs.start("sglang-awake"))
        await asyncio.wait({starting}, timeout=0.5)
        released.set()
        await asyncio.gather(before, starting)
        assert programs.runs("sglang-awake")

    with held(supervisord.folder) as way:
        asyncio.run(story(*way))


def test_a_supervisord_that_is_slow_to_tell_has_started_it_all_the_same(supervisord: Running) -> None:
    async def story(folder: Path, kept: threading.Event, released: threading.Event) -> None:
        programs = Programs(folder)
        starting = asyncio.create_task(programs.start("sglang-awake"))
        assert await asyncio.to_thread(kept.wait, PATIENCE)
        await asyncio.sleep(SECONDS + 0.5)
        released.set()
        await starting
        assert programs.runs("sglang-awake")

    with held(supervisord.folder) as way:
        asyncio.run(story(*way))


def test_who_was_left_running_is_found_by_a_supervisord_that_is_slow_to_tell(supervisord: Running) -> None:
    async def story(folder: Path, kept: threading.Event, released: threading.Event) -> None:
        await Programs(supervisord.folder).start("sglang-awake")
        finding = asyncio.create_task(Programs(folder).others(["sglang-stopped"]))
        assert await asyncio.to_thread(kept.wait, PATIENCE)
        await asyncio.sleep(SECONDS + 0.5)
        released.set()
        assert await finding == ["sglang-awake"]

    with held(supervisord.folder) as way:
        asyncio.run(story(*way))
