"""A small kubelet: starts a server, probes it by the production stack's chart, takes it for ready or kills it by the
answers, and starts it again after the back-off. Used by `test_kubelet`, and by `picture`, which draws what it saw.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Self

from tests.server import Server


@dataclass(frozen=True, slots=True)
class Probe:
    """Of GET /health; in seconds. The first is the startup probe: the others wait for its success."""

    name: str
    delay: float
    period: float
    failures: int  # in a row, until it has consequences
    timeout: float = 1.0  # Kubernetes' own, where a probe names none

    @property
    def budget(self) -> float:
        return self.failures * self.period


# vllm-stack 0.1.11, helm/values.yaml: startupProbe, livenessProbe, readinessProbe.
CHART = (Probe("startup", 15, 10, 60), Probe("liveness", 15, 10, 3), Probe("readiness", 15, 5, 3))
BACK_OFF_SECONDS = 10.0  # the first; the kubelet doubles it
LOOK_SECONDS = 0.1
GONE = "refused"


@dataclass(frozen=True, slots=True)
class Health:
    at: float
    said: str  # a status, or what came instead
    phase: str = ""


@dataclass
class Life:
    """All by seconds since the start of the first container."""

    health: list[Health] = field(default_factory=list)
    probes: list[tuple[float, str, bool]] = field(default_factory=list)
    containers: list[tuple[float, float | None, int | None]] = field(default_factory=list)  # begin, end, exit code
    ready: list[tuple[float, bool]] = field(default_factory=lambda: [(0.0, False)])
    killed: list[float] = field(default_factory=list)  # by the kubelet
    events: list[tuple[float, str]] = field(default_factory=list)


def look(port: int, timeout: float) -> tuple[str, str]:
    """The status of /health and the phase that its body names, on a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            phase = re.search(rb"\(phase: ([\w -]+)\)", answer.read())
            return str(answer.status), phase[1].decode() if phase else ""
        except (OSError, http.client.HTTPException):
            return GONE, ""


class Kubelet:
    """`with Kubelet(start) as kubelet:`; `start` makes a container, on the same port each time."""

    def __init__(self, start: Callable[[], Server], probes: tuple[Probe, ...] = CHART) -> None:
        self.life = Life()
        self.server = start()
        self._start = start
        self._probes = probes
        self._began = time.monotonic()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._watch), threading.Thread(target=self._run)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.server.close()

    def now(self) -> float:
        return time.monotonic() - self._began

    def happens(self, what: str) -> None:
        self.life.events.append((self.now(), what))

    @property
    def is_ready(self) -> bool:
        return self.life.ready[-1][1]

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            at = self.now()
            self.life.health.append(Health(at, *look(self.server.port, 1.0)))

    def _run(self) -> None:
        back_off = BACK_OFF_SECONDS
        while not self._over.is_set():
            began = self.now()
            self.life.containers.append((began, None, None))
            code = self._contain(began)
            self.life.containers[-1] = (began, self.now(), code)
            self._become(ready=False)
            if code is None or self._over.wait(back_off):
                return
            back_off *= 2
            self.server.close()
            self.server = self._start()

    def _contain(self, began: float) -> int | None:
        """Until its end: the exit code, or None when the watching is over."""
        started = False
        failed = {probe.name: 0 for probe in self._probes}
        due = {probe.name: began + probe.delay for probe in self._probes}
        while not self._over.wait(LOOK_SECONDS):
            if (code := self.server.process.poll()) is not None:
                return code
            for probe in self._probes:
                is_startup = probe is self._probes[0]
                if self.now() < due[probe.name] or is_startup is started:
                    continue
                due[probe.name] = self.now() + probe.period
                good = look(self.server.port, probe.timeout)[0] == "200"
                self.life.probes.append((self.now(), probe.name, good))
                failed[probe.name] = 0 if good else failed[probe.name] + 1
                started = started or (is_startup and good)
                if probe.name == "readiness" and (good or failed[probe.name] >= probe.failures):
                    self._become(ready=good)
                elif failed[probe.name] >= probe.failures:
                    self.life.killed.append(self.now())
                    self.server.process.terminate()
                    failed[probe.name] = 0
        return None

    def _become(self, *, ready: bool) -> None:
        if ready is not self.is_ready:
            self.life.ready.append((self.now(), ready))
