"""A real `vllm serve` for tests: started as a user starts it, watched through its standard output, and gone without
a trace afterwards.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import httpx

ROOT = Path(__file__).parent.parent
VLLM = ROOT / "shims/bin/vllm"
SERVE = (str(VLLM), "serve")
STAND_IN = f"{sys.executable} {ROOT / 'tests/fakes/sglang.py'}"
T = TypeVar("T")
PATIENCE = 60.0  # seconds; machines are slow and shared, and a hang must still end


def wait_for(what: Callable[[], T], why: str, seconds: float = PATIENCE) -> T:
    """The first true value of `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{why}: not within {seconds:.0f} s")


def free_port() -> int:
    """A port N with N+1 and N+2 free as well, below the range that outgoing connections use; none that the other
    process of the tests could be given at the same moment."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2
    for _ in range(200):
        port = random.randrange(12000 + worker * 9000, 20990 + worker * 9000)
        with contextlib.ExitStack() as held:
            try:
                for number in range(port, port + 3):
                    taken = held.enter_context(socket.socket())
                    taken.bind(("127.0.0.1", number))
            except OSError:
                continue
            return port
    raise AssertionError("no three free ports in a row")


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


class Server:
    """`vllm serve ARGS` with a run directory of its own. `lines` is its standard output so far."""

    def __init__(
        self,
        folder: Path,
        *args: str,
        engine: str = STAND_IN,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        command: Sequence[str] = SERVE,
        cwd: Path | None = None,
    ) -> None:
        self.port = port or free_port()
        self.run_dir = folder / "run"
        self.log = folder / "shim.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        self._seen: dict[int, str] = {}  # pid -> time of birth, in ticks
        settings = {
            "VLLM_SHIM_RUN_DIR": str(self.run_dir),
            "VLLM_SHIM_LOG": str(self.log),
            "VLLM_SHIM_ENGINE": engine,
            "VLLM_SHIM_PYTHON": sys.executable,
            "VLLM_SHIM_LAME_DUCK_SECONDS": "0",
        }
        host = () if "--host" in args else ("--host", "127.0.0.1")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("VLLM_", "SGLANG_", "KUBERNETES_"))}
        self.process = subprocess.Popen(
            [*command, *args, *host, "--port", str(self.port)],
            cwd=cwd,
            env={**clean, **settings, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(output)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def health(self) -> int:
        """The status of /health; 0 while nothing listens."""
        try:
            return self.client.get("/health").status_code
        except httpx.TransportError as error:
            print(f"/health: {error!r}")
            return 0

    def wait_ready(self, seconds: float = PATIENCE) -> None:
        def ready_or_over() -> bool:
            return self.process.poll() is not None or self.health() == 200

        wait_for(ready_or_over, f"ready; output so far:\n{self.output}", seconds)
        assert self.process.poll() is None, self.output

    def wait_end(self, seconds: float = PATIENCE) -> int:
        code = self.process.wait(seconds)
        self._reader.join(PATIENCE)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.wait_end()

    def supervisorctl(self, *words: str) -> str:
        """As an operator runs it: in the run directory, without options."""
        found = subprocess.run(
            [str(Path(sys.executable).parent / "supervisorctl"), *words],
            check=False,
            cwd=self.run_dir,
            capture_output=True,
            text=True,
        )
        return found.stdout + found.stderr

    def pid(self, program: str) -> int:
        return int(self.supervisorctl("pid", program))

    def processes(self) -> dict[int, str]:
        """Every live process that this server started: by what it inherited, by descent, and any seen before.

        SGLang's children write their title over their environment, so that neither way alone finds all.
        """
        marker = f"VLLM_SHIM_RUN_DIR={self.run_dir}".encode()
        parents: dict[int, int] = {}
        births: dict[int, str] = {}
        family = {self.process.pid}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit():
                    pid = int(entry.name)
                    state, parent, *rest = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                    if state == "Z":
                        continue
                    parents[pid], births[pid] = int(parent), rest[17]
                    if marker in (entry / "environ").read_bytes().split(b"\0"):
                        family.add(pid)
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        self._seen = {pid: birth for pid, birth in self._seen.items() if births.get(pid) == birth}
        self._seen |= {pid: births[pid] for pid in family if pid in births}
        return {pid: command_line(pid) for pid in self._seen}

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        left = self.processes()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self.client.close()
        assert not left, f"left behind: {left}\n{self.output}"


@contextlib.contextmanager
def serving(
    folder: Path,
    *args: str,
    engine: str = STAND_IN,
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = SERVE,
    cwd: Path | None = None,
) -> Iterator[Server]:
    server = Server(folder, *args, engine=engine, env=env, command=command, cwd=cwd)
    try:
        yield server
    finally:
        server.close()
