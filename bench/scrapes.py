"""What a scrape of /metrics costs, with the series of one and of eight data-parallel ranks behind it; and what ten a
second do to the streams beside them. Called by `bench.rounds` for those who hand on an engine's metrics.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus

from bench.contenders import MIDDLEWARE, STACK, STOCK
from bench.cpu import cpu_seconds
from bench.figures import Bench
from bench.running import Failed
from bench.streams import Seen

RANKS = (1, 8)
EVERY = 0.1
STREAMS = 64
PACE_MS = 20.0
SCRAPED = (MIDDLEWARE.name, STACK.name, STOCK.name)
BESIDE_STREAMS = (MIDDLEWARE.name, STACK.name)


class Scraper:
    """One connection that is kept, as Prometheus keeps its own."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def scrape(self) -> bytes:
        self._connection.request("GET", "/metrics", headers={"accept": "text/plain;version=0.0.4"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != HTTPStatus.OK or not body:
            raise Failed(f"/metrics: status {answer.status}, {len(body)} bytes")
        return body

    def close(self) -> None:
        self._connection.close()


def measured(bench: Bench) -> None:
    if bench.contender.name not in SCRAPED:
        return
    for ranks in RANKS:
        behave(bench, ranks)
        cost(bench, ranks)
    if bench.contender.name in BESIDE_STREAMS:
        beside_streams(bench)
    # The stand-in outlives who is measured: the next would begin with eight, and keep their counters.
    behave(bench, RANKS[0])


def behave(bench: Bench, ranks: int) -> None:
    """The stand-in has so many ranks from now on."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.running.engine, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", f"/_ranks/{ranks}")
        bench.sheet.figures[f"scrape{ranks}_sglang_bytes"] = len(connection.getresponse().read())


def cost(bench: Bench, ranks: int) -> None:
    """Ten a second, and what is idle in the meantime taken off."""
    figures, pids = bench.sheet.figures, bench.running.pids
    scraper = Scraper(bench.running.port)
    with contextlib.closing(scraper):
        scraper.scrape()
        spent = -cpu_seconds(pids)
        began = time.perf_counter()
        took = []
        for number in range(bench.sizes.scrapes):
            time.sleep(max(0.0, began + number * EVERY - time.perf_counter()))
            asked = time.perf_counter()
            body = scraper.scrape()
            took.append(time.perf_counter() - asked)
        seconds = time.perf_counter() - began
        spent += cpu_seconds(pids)
    idle = figures.get("idle_ms_per_s", 0.0) / 1000 * seconds
    figures[f"scrape{ranks}_cpu_ms"] = max(spent - idle, 0.0) / bench.sizes.scrapes * 1000
    figures[f"scrape{ranks}_p50_ms"] = sorted(took)[len(took) // 2] * 1000
    figures[f"scrape{ranks}_bytes"] = len(body)


def beside_streams(bench: Bench) -> None:
    """Of eight ranks; each twice, in turn, and the better of the two: a machine's other work only adds."""
    calm, scraped = [], []
    for _ in range(1 if bench.sizes.brief else 2):
        calm.append(_streams(bench))
        with scraping(bench.running.port):
            scraped.append(_streams(bench))
    for name, all_seen in (("calm", calm), ("scraped", scraped)):
        seen = [one for one in all_seen if one is not None]
        if not seen:
            return
        bench.sheet.figures[f"{name}_gap_p50_ms"] = min(one.gap_p50_ms for one in seen)
        bench.sheet.figures[f"{name}_gap_p99_ms"] = min(one.gap_p99_ms for one in seen)
        bench.sheet.figures[f"{name}_gap_max_ms"] = min(one.gap_max_ms for one in seen)
    figures = bench.sheet.figures
    figures["scrape_stall_ms"] = figures["scraped_gap_max_ms"] - figures["calm_gap_max_ms"]
    figures["scraped_to_calm"] = figures["scraped_gap_p99_ms"] / figures["calm_gap_p99_ms"]


def _streams(bench: Bench) -> Seen | None:
    return bench.streams("64 streams beside scrapes", streams=STREAMS, tokens=bench.sizes.tokens, pace_ms=PACE_MS)


@contextlib.contextmanager
def scraping(port: int) -> Iterator[None]:
    """Ten a second, from a thread of its own."""
    stop = threading.Event()

    def scrape() -> None:
        scraper = Scraper(port)
        with contextlib.closing(scraper):
            while not stop.wait(EVERY):
                scraper.scrape()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
