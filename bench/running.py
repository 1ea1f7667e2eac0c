"""Processes that the bench starts, pinned, each with its log in a file, and gone at the end of a `with` block."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

from bench.bodies import CHAT, chat
from bench.machine import ROOT

PATIENCE = 60.0
OURS = ("VLLM_", "SGLANG_", "KUBERNETES_")


class Failed(Exception):
    """What did not start, or answered wrongly, and the end of its log."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith(OURS)}, **(extra or {})}


@contextlib.contextmanager
def process(
    words: Sequence[str],
    log: Path,
    *,
    core: int | None = None,
    env: Mapping[str, str] | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """In a session of its own: what is left of it in the end is killed."""
    pinned = ["taskset", "-c", str(core), *words] if core is not None else [*words]
    with log.open("wb") as output:
        running = subprocess.Popen(
            pinned, stdout=output, stderr=output, env=environment(env), cwd=ROOT, start_new_session=True
        )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(PATIENCE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def free_port() -> int:
    """Three in a row, below the range that outgoing connections use: N, N+1 and N+2 are `vllm serve`'s."""
    for _ in range(200):
        port = random.randrange(12000, 30000)
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for number in range(port, port + 3):
                held.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port
    raise Failed("there are no three free ports in a row")


def wait_until_it_chats(
    port: int, running: subprocess.Popen[bytes] | None, log: Path, seconds: float, right: str = "Paris"
) -> None:
    """It serves when a chat is answered as it should be."""
    said = "nothing"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if running is not None and running.poll() is not None:
            raise Failed(f"it ended with {running.returncode}:\n{_end_of(log)}")
        said = asked(port, right)
        if not said:
            return
        time.sleep(0.05)
    raise Failed(f"it does not serve within {seconds:.0f} s ({said}):\n{_end_of(log)}")


def asked(port: int, right: str) -> str:
    """What is wrong with the answer to a small chat, or nothing."""
    try:
        status, body = posted(port, CHAT, chat("hello"))
        if status != HTTPStatus.OK:
            return f"status {status}: {body[:200]!r}"
        text = json.loads(body)["choices"][0]["message"]["content"]
    except (OSError, http.client.HTTPException, ValueError, LookupError) as failure:
        return repr(failure)
    else:
        return "" if right in text else f"the answer is {text!r}"


def posted(port: int, path: str, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""
