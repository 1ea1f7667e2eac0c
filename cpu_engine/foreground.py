"""A server in the foreground of a terminal: its output, the moment when it is ready, and its end.
`run.py` hands it what to start and returns its exit code.
"""

from __future__ import annotations

import http.client
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import IO

from cpu_engine import ready
from cpu_engine.loading import Loading, is_noise
from cpu_engine.status import StatusLine

SECONDS_BETWEEN_LOOKS = 0.25
SECONDS_BETWEEN_CHECKS = 0.5


@dataclass(frozen=True)
class Served:
    command: list[str]
    env: dict[str, str]
    name: str
    port: int


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class Foreground:
    def __init__(self, served: Served) -> None:
        self.served = served
        self.status = StatusLine(sys.stdout)
        self.loading = Loading(self.status)
        self.started = time.time()
        self.next_check = 0.0
        self.is_ready = False
        self.stopping = False
        self.rest = b""

    def run(self) -> int:
        with subprocess.Popen(
            self.served.command,
            env=self.served.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as child:
            self.handle_signals(child)
            assert child.stdout is not None
            try:
                self.watch(child, child.stdout)
            except BaseException:
                child.terminate()
                raise
        code = child.returncode
        if not self.is_ready and not self.stopping:
            self.say_why(code)
        return code if code >= 0 else 128 - code

    def handle_signals(self, child: subprocess.Popen[bytes]) -> None:
        def interrupt(_signum: int, _frame: object) -> None:
            # The terminal has sent it to the whole group, and so to the child.
            self.stopping = True

        def terminate(_signum: int, _frame: object) -> None:
            self.stopping = True
            child.terminate()

        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)
        # A closed terminal: supervisord takes a hangup for "read the configuration again" and would serve on.
        signal.signal(signal.SIGHUP, terminate)

    def watch(self, child: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        """Until the output ends, or the child does while something that it left behind holds the output open."""
        said_stopping = False
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                if selector.select(SECONDS_BETWEEN_LOOKS):
                    chunk = os.read(output.fileno(), 1 << 16)
                    if not chunk:
                        break
                    self.show(chunk)
                elif child.poll() is not None:
                    break
                if self.stopping and not said_stopping:
                    said_stopping = True
                    self.status.print("stopping ...")
                if not self.is_ready and not self.stopping:
                    self.look()
        self.status.clear()

    def show(self, chunk: bytes) -> None:
        if self.is_ready and not self.stopping:
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        for line in lines:
            if not self.is_ready:
                self.loading.line(line.decode(errors="replace"))
            elif not is_noise(line.decode(errors="replace")):
                sys.stdout.buffer.write(line + b"\n")
        sys.stdout.flush()

    def look(self) -> None:
        self.loading.tick()
        if time.monotonic() < self.next_check:
            return
        self.next_check = time.monotonic() + SECONDS_BETWEEN_CHECKS
        if healthy(self.served.port):
            self.is_ready = True
            self.status.print(ready.banner(self.served.name, self.served.port, self.loading.seconds, self.started))
            self.show(self.rest)

    def say_why(self, code: int) -> None:
        if self.rest:
            self.loading.line(self.rest.decode(errors="replace"))
        for line in self.loading.withheld:
            print(line)
        sys.stdout.flush()  # a pipe would show them behind the sentence
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        print(f"cpu_engine: vllm serve ended before it was ready, with {how}", file=sys.stderr)
