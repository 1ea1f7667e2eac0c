"""A real `python -m supervision` over small real programs, in a directory of its own, leaving nothing behind.
Every test of this folder that starts processes does so through `Container`.
"""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

PATIENCE_SECONDS = 30.0
MARK = "SUPERVISION_TEST"
Result = TypeVar("Result")


def eventually(look: Callable[[], Result | None], what: str) -> Result:
    """The first truthy answer of `look`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never came: {what}")


def processes_with(mark: str) -> list[int]:
    """All running processes whose environment holds the text."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            try:
                if mark.encode() in (directory / "environ").read_bytes():
                    found.append(int(directory.name))
            except OSError:
                continue
    return found


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def lines_of(section: Mapping[str, object]) -> str:
    return "".join(f"{key}={value}\n" for key, value in section.items())


class Container:
    """Programs are added first; `with` starts them, and at its end asserts that no process is left."""

    def __init__(self, directory: Path, *, under: Sequence[str] = (), **shim: object) -> None:
        self.directory = directory
        self.termination_log = directory / "termination-log"
        self.termination_log.touch()
        self.ready = directory / "ready"
        self.ready.mkdir()
        self.mark = f"{MARK}={uuid.uuid4().hex}"
        self._under = tuple(under)
        self.supervisord: dict[str, object] = {
            "logfile": directory / "supervisord.log",
            "pidfile": directory / "supervisord.pid",
            "childlogdir": directory,
        }
        self._shim = {"ready_dir": self.ready, "termination_log": self.termination_log, **shim}
        self._programs: list[str] = []
        self._output = directory / "stdout"
        self._errors = directory / "stderr"
        self._process: subprocess.Popen[bytes] | None = None

    def program(self, name: str, source: str, *, kind: str = "program", **options: object) -> None:
        """`source` is Python, or a command when it starts with a slash."""
        if source.startswith("/"):
            command = source
        else:
            script = self.directory / f"{name}.py"
            script.write_text(source)
            command = f"{sys.executable} -I -S -u {script}"
        settings: dict[str, object] = {
            "command": command,
            "directory": self.directory,
            "autorestart": "true",
            "startsecs": 0,
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": self.directory / f"{name}.log",
            **options,
        }
        self._programs.append(f"[{kind}:{name}]\n{lines_of(settings)}")

    def configuration(self) -> str:
        return (
            f"[supervisord]\n{lines_of(self.supervisord)}"
            f"[unix_http_server]\nfile={self.directory}/sock\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{self.directory}/sock\n"
            f"[shim]\n{lines_of(self._shim)}" + "".join(self._programs)
        )

    def __enter__(self) -> Self:
        conf = self.directory / "supervisord.conf"
        conf.write_text(self.configuration())
        name, _, value = self.mark.partition("=")
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [*self._under, sys.executable, "-I", "-m", "supervision", "-c", str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env={**os.environ, name: value},
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"stdout:\n{self.output()}\nstderr:\n{self.errors()}")
        try:
            if self._started().poll() is None:
                self.send(signal.SIGTERM)
                self.exit_code()
            eventually(lambda: error or not processes_with(self.mark), "the end of every process")
        finally:
            # After a failure: what is left would run on in the developer's machine.
            if self._started().poll() is None:
                self._started().kill()
                self._started().wait()
            for pid in processes_with(self.mark):
                os.kill(pid, signal.SIGKILL)

    def _started(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """Of supervisord, also when it was started by another command."""
        pid = self._started().pid
        if self._under:
            children = Path(f"/proc/{pid}/task/{pid}/children")
            return eventually(lambda: int((children.read_text().split() or ["0"])[0]), "the process under it")
        return pid

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def exit_code(self) -> int:
        return self._started().wait(PATIENCE_SECONDS)

    def output(self) -> str:
        return self._output.read_text("utf-8", "replace")

    def errors(self) -> str:
        return self._errors.read_text("utf-8", "replace")

    def said(self, pattern: str, times: int = 1) -> re.Match[str]:
        """The nth match in the container's output."""

        def look() -> re.Match[str] | None:
            found = list(re.finditer(pattern, self.output(), re.MULTILINE))
            assert found[times - 1 :] or self._started().poll() is None, f"ended without saying {pattern!r}"
            return found[times - 1] if len(found) >= times else None

        return eventually(look, pattern)

    def spawned(self, name: str, times: int = 1) -> int:
        """The process id of a program's nth life (as supervisord sees it)."""
        return int(self.said(rf"INFO spawned: '{name}' with pid (\d+)$", times)[1])

    def seconds_of(self, pattern: str, times: int = 1) -> float:
        """The time of the nth of supervisord's own lines with the pattern, by supervisord's clock."""
        stamp, milliseconds = self.said(rf"^\[supervisor\] (\S+ [\d:]+),(\d+) \w+ .*{pattern}", times).groups()
        return time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M:%S")) + int(milliseconds) / 1000

    def last_lines(self, count: int) -> list[str]:
        return self.output().splitlines()[-count:]

    def control(self, *arguments: str) -> str:
        """supervisorctl without options, from the run directory."""
        command = [str(Path(sys.executable).parent / "supervisorctl"), *arguments]
        done = subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        return done.stdout + done.stderr
