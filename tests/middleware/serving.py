"""Real servers for the tests of the middleware: the stand-in as a process, the middleware in a thread or as a process.
Everything is gone when its `with` block ends.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import uvicorn

from middleware.app import build
from middleware.client import ClientProtocol
from middleware.device_memory import DeviceMemory
from middleware.listen import listening_socket
from middleware.settings import Settings

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests/fakes/sglang.py"
PATIENCE = 30.0  # seconds; the machine is slow and shared, and a hang must still end
T = TypeVar("T")


def wait_for(what: Callable[[], T], why: str, seconds: float = PATIENCE) -> T:
    """The first true value of `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:.0f} s: {why}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def status_of(url: str) -> int:
    """0 while nothing listens."""
    try:
        return httpx.get(url, timeout=PATIENCE, trust_env=False).status_code
    except httpx.TransportError:
        return 0


def process_environment(**extra: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("VLLM_", "STANDIN_"))}
    return {**inherited, **extra}


@contextlib.contextmanager
def process(*command: str, env: Mapping[str, str] | None = None, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Its output can be read when it has ended; it is killed if it has not."""
    with subprocess.Popen(
        command,
        env=process_environment(**(env or {})),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()
            running.communicate()


class Served:
    """Something that answers HTTP on a port of loopback."""

    def __init__(self, port: int, running: subprocess.Popen[str] | None = None) -> None:
        self.port = port
        self.process = running
        self.url = f"http://127.0.0.1:{port}"
        # uvicorn closes what was idle for 5 s: a connection that is used again just then would be lost.
        limits = httpx.Limits(keepalive_expiry=2.0)
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False, limits=limits)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.client.post(path, **options)

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.get("/_stats").json()
        return stats

    def crash(self, code: int = 1) -> None:
        """Ends the stand-in at once; when this returns the kernel has closed all that it had open."""
        assert self.process is not None
        with pytest.raises(httpx.RemoteProtocolError):
            self.get(f"/_exit?code={code}")
        self.process.wait(PATIENCE)

    def raw(self, request: bytes) -> bytes:
        """What comes back for these bytes, up to the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as sock:
            sock.sendall(request)
            pieces = []
            while piece := sock.recv(65536):
                pieces.append(piece)
            return b"".join(pieces)


@contextlib.contextmanager
def served(port: int, running: subprocess.Popen[str] | None = None) -> Iterator[Served]:
    server = Served(port, running)
    with server.client:
        yield server


@contextlib.contextmanager
def stand_in(*args: str, **env: str) -> Iterator[Served]:
    port = free_port()
    quick = {"STANDIN_CHILDREN": "0", "STANDIN_QUIET": "1", **env}
    command = (sys.executable, str(STAND_IN), "--port", str(port), *args)
    with process(*command, env=quick) as running, served(port, running) as server:
        wait_for(lambda: status_of(f"{server.url}/_stats") == 200, "the stand-in listens")
        yield server


@contextlib.contextmanager
def middleware(
    upstream_port: int, *, wait_ready: bool = True, memory: DeviceMemory | None = None, **settings: Any
) -> Iterator[Served]:
    """The application on a real socket, served by uvicorn as in production but for the signals."""
    configured = Settings(upstream_host="127.0.0.1", upstream_port=upstream_port, **settings)
    sock = listening_socket(configured)
    config = uvicorn.Config(
        build(configured, memory).app, loop="uvloop", http=ClientProtocol, ws="none", access_log=False, log_config=None,
        proxy_headers=False, timeout_graceful_shutdown=3,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        with served(sock.getsockname()[1]) as front:
            wait_for(lambda: server.started, "uvicorn has started")
            if wait_ready:
                wait_for(lambda: front.get("/health").status_code == 200, "the middleware is ready")
            yield front
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        sock.close()
