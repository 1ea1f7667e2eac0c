"""SGLang's /metrics, asked once for all who ask at the same time, and never waited for long.
Called by `page`, and by `middleware.watch` when an engine becomes ready.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from prometheus_client.samples import Sample

from middleware.metrics.exposition import Text, read
from middleware.metrics.ledger import Ledger
from middleware.upstream import UpstreamError

log = logging.getLogger("middleware.metrics")

# The scrapers of the stack wait 5 s and more. SGLang takes 15 ms, and longer while its tokenizer works.
PATIENCE_SECONDS = 2.0
# After which the question is given up and may be asked again.
LONGEST_SECONDS = 30.0

Fetch = Callable[[], Awaitable[tuple[int, bytes]]]


class Scraper:
    """fresh = await scraper.scrape()    # whether SGLang has just told; the ledger has it
    await scraper.begin()              # the first scrape of an engine
    """

    __slots__ = ("_asked", "_began", "_fetch", "_flight", "_ledger")

    def __init__(self, fetch: Fetch, ledger: Ledger) -> None:
        self._fetch = fetch
        self._ledger = ledger
        self._flight: asyncio.Task[bool] | None = None
        self._asked = 0.0
        # Whether the engine has told anything since it became ready.
        self._began = False

    async def begin(self) -> None:
        """What the engine has counted so far is its warm-up: nobody has asked it anything yet."""
        self._began = False
        if self._flight is not None:
            await asyncio.wait([self._flight], timeout=PATIENCE_SECONDS)
        await self.scrape()

    async def scrape(self) -> bool:
        if self._flight is None:
            self._asked = time.monotonic()
            self._flight = asyncio.create_task(self._ask())
            self._flight.add_done_callback(self._landed)
        flight = self._flight
        # Who comes while it has been waited for too long already is not kept waiting again.
        left = self._asked + PATIENCE_SECONDS - time.monotonic()
        done, _ = await asyncio.wait([flight], timeout=max(0.0, left))
        return bool(done) and flight.result()

    def stop(self) -> None:
        if self._flight is not None:
            self._flight.cancel()

    def _landed(self, flight: "asyncio.Task[bool]") -> None:
        self._flight = None

    async def _ask(self) -> bool:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                status, content = await self._fetch()
            if status != HTTPStatus.OK:
                log.warning("SGLang's /metrics answers %d", status)
                return False
            # Not on the event loop: of eight ranks it takes longer than a chunk may wait.
            text, samples = await asyncio.to_thread(self._read, content)
        except (UpstreamError, TimeoutError):
            return False
        except ValueError as exc:
            log.warning("SGLang's /metrics cannot be read: %s", exc)
            return False
        except asyncio.CancelledError:
            return False
        self._ledger.layout.learn(samples)
        if self._began:
            self._ledger.enter(text)
        else:
            self._ledger.begin(text)
            self._began = True
        return True

    def _read(self, content: bytes) -> tuple[Text, dict[str, Sample]]:
        text = read(content)
        return text, self._ledger.layout.unseen((*text.growing, *text.gauges))
