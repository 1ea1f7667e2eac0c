"""Asks all the time: /health and /metrics as the outside does, the engine and the middleware themselves for the truth,
and a clock for whether this machine runs at all. `round` has it running around the load.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.chaos.story import (
    CUT,
    ENGINE_ITSELF,
    HEALTH,
    METRICS,
    MIDDLEWARE_ITSELF,
    ODD,
    REFUSED,
    SILENT,
    Probe,
    Story,
)

EVERY = 0.1
SCRAPE_EVERY = 1.0
PROBE_SECONDS = 1.0
SCRAPE_SECONDS = 30.0
CLOCK_EVERY = 0.02
STALL_SECONDS = 0.05

Check = Callable[[bytes], bool]


def is_the_engine(body: bytes) -> bool:
    try:
        return bool(json.loads(body)["data"][0]["id"])
    except (ValueError, LookupError, TypeError):
        return False  # whoever has taken its port


def is_whole(body: bytes) -> bool:
    """Of /metrics: nothing, while the middleware is away, or a document that ends where a line does."""
    return not body or (body.endswith(b"\n") and b"vllm:" in body)


def ask(port: int, path: str, seconds: float, check: Check) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except ConnectionRefusedError:
        return REFUSED
    except TimeoutError:
        return SILENT
    except (OSError, http.client.HTTPException):
        return CUT
    finally:
        connection.close()
    return str(answer.status) if answer.status != 200 or check(body) else ODD


def watch_the_clock(story: Story, stop: threading.Event) -> None:
    before = story.now()
    while not stop.wait(CLOCK_EVERY):
        now = story.now()
        if now - before > CLOCK_EVERY + STALL_SECONDS:
            story.stalls.append((before, now))
        before = now


@contextmanager
def probed(story: Story, port: int) -> Iterator[None]:
    stop = threading.Event()

    def probe(name: str, port: int, path: str, every: float, seconds: float, check: Check) -> None:
        due = time.monotonic()
        while not stop.is_set():
            began = story.now()
            said = ask(port, path, seconds, check)
            story.probes[name].append(Probe(began, story.now(), said))
            due = max(due + every, time.monotonic())
            stop.wait(due - time.monotonic())

    asked = (
        (HEALTH, port, "/health", EVERY, PROBE_SECONDS, lambda body: not body),
        (METRICS, port, "/metrics", SCRAPE_EVERY, SCRAPE_SECONDS, is_whole),
        (ENGINE_ITSELF, port + 1, "/v1/models", EVERY, PROBE_SECONDS, is_the_engine),
        (MIDDLEWARE_ITSELF, port + 2, "/health", EVERY, PROBE_SECONDS, lambda body: not body),
    )
    threads = [threading.Thread(target=probe, args=each) for each in asked]
    threads.append(threading.Thread(target=watch_the_clock, args=(story, stop)))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_until_serving(story: Story, seconds: float, over: Callable[[], bool]) -> bool:
    """Whether all have served since now before the time, or the server, was over."""
    since = story.now()
    while story.now() < since + seconds and not over():
        if story.serves_since(since):
            return True
        time.sleep(0.05)
    return False
