"""What a probe sees while a server lives and dies: /health every 50 ms, beside it the truth (does SGLang itself answer
with its models?), and when what was done to it. Used by `test_probes`, drawn by `probe_picture`.
"""

from __future__ import annotations

import csv
import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HEALTH, ENGINE = "/health", "SGLang's own /v1/models"
EVERY = 0.05
PROBE_SECONDS = 1.0  # Kubernetes' timeout, where a probe names none
REFUSED, SILENT = "refused", "no answer in 1 s"
SERVES = "200"


@dataclass(frozen=True, slots=True)
class Answer:
    began: float  # seconds since the start
    ended: float
    said: str  # a status, or what came instead

    @property
    def ms(self) -> float:
        return (self.ended - self.began) * 1000


@dataclass
class Story:
    """`answers` by what was asked; `events` in their order, each with its moment."""

    started: float = field(default_factory=time.monotonic)
    answers: dict[str, list[Answer]] = field(default_factory=lambda: {HEALTH: [], ENGINE: []})
    events: list[tuple[float, str]] = field(default_factory=list)

    def now(self) -> float:
        return time.monotonic() - self.started

    def happens(self, what: str) -> float:
        self.events.append((self.now(), what))
        print(f"{self.events[-1][0]:7.2f} s  {what}")
        return self.events[-1][0]

    def health(self, since: float = 0.0, until: float = float("inf")) -> list[Answer]:
        """Those that began and ended between the two."""
        return [one for one in self.answers[HEALTH] if one.began >= since and one.ended <= until]

    def engine_is_back(self, since: float) -> float | None:
        """The last moment in which SGLang was seen away before it answered again."""
        away = since
        for one in self.answers[ENGINE]:
            if one.began >= since:
                if one.said == SERVES:
                    return away
                away = one.began
        return None

    def write(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("seconds", "what", "said", "ms"))
            lines = [(one.began, what, one.said, one.ms) for what, all_ in self.answers.items() for one in all_]
            lines += [(at, "event", what, 0.0) for at, what in self.events]
            rows.writerows((f"{at:.3f}", what, said, f"{ms:.2f}") for at, what, said, ms in sorted(lines))


def ask(port: int, path: str) -> str:
    """On a connection of its own, as the kubelet does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return str(connection.getresponse().status)
    except TimeoutError:
        return SILENT
    except (OSError, http.client.HTTPException) as failure:
        return REFUSED if isinstance(failure, ConnectionRefusedError) else type(failure).__name__
    finally:
        connection.close()


@contextmanager
def watched(port: int) -> Iterator[Story]:
    """From before the start to after the end of the server on this port."""
    story, stop = Story(), threading.Event()

    def probe(what: str, port: int, path: str, every: float) -> None:
        due = time.monotonic()
        while not stop.is_set():
            began = story.now()
            said = ask(port, path)
            story.answers[what].append(Answer(began, story.now(), said))
            due = max(due + every, time.monotonic())
            stop.wait(due - time.monotonic())

    threads = [
        threading.Thread(target=probe, args=(HEALTH, port, "/health", EVERY)),
        threading.Thread(target=probe, args=(ENGINE, port + 1, "/v1/models", EVERY)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield story
    finally:
        stop.set()
        for thread in threads:
            thread.join()
