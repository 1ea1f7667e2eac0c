"""SGLang's /metrics, asked once for all who ask at the same time, and never waited for long.
Driven by `served`: for each page, and when an engine becomes ready.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from middleware.metrics.exposition import Text, read
from middleware.metrics.layout import Learned
from middleware.metrics.ledger import Ledger
from middleware.upstream import UpstreamError

log = logging.getLogger("middleware.metrics")

# The scrapers of the stack wait 5 s and more. SGLang takes 15 ms, and longer while its tokenizer works.
PATIENCE_SECONDS = 2.0
# After which the question is given up and may be asked again.
LONGEST_SECONDS = 30.0
# /metrics needs no key: whoever asks without end must not have SGLang collect without end.
REUSE_SECONDS = 0.5
# An engine that has not told when it became ready is asked again, or its warm-up could not be told from its work.
AGAIN_SECONDS = 1.0

Fetch = Callable[[], Awaitable[tuple[int, bytes]]]


class Scraper:
    """await scraper.begin()    # the first scrape of an engine, which is about to be ready
    await scraper.scrape()   # what SGLang has told is in the ledger
    scraper.age              # how long ago it told that; None if this engine has told nothing, or nonsense since
    """

    __slots__ = (
        "_alive",
        "_asked",
        "_began",
        "_clock",
        "_complaint",
        "_fetch",
        "_flight",
        "_ledger",
        "_told",
        "_trying",
    )

    def __init__(self, fetch: Fetch, ledger: Ledger, alive: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._ledger = ledger
        self._alive = alive
        self._clock = clock
        self._flight: asyncio.Task[None] | None = None
        self._trying: asyncio.Task[None] | None = None
        self._asked = 0.0
        self._told: float | None = None
        self._complaint = ""
        # Whether the engine has told anything since it became ready.
        self._began = False

    @property
    def age(self) -> float | None:
        return None if self._told is None else self._clock() - self._told

    async def begin(self) -> None:
        """What the engine has counted so far is its warm-up: nobody has asked it anything yet."""
        self.stop()  # What was asked of the engine that was.
        self._began, self._told = False, None
        await self.scrape()
        if not self._began:
            self._trying = asyncio.create_task(self._try())

    async def _try(self) -> None:
        await asyncio.sleep(AGAIN_SECONDS)
        while self._alive() and not self._began:
            await self.scrape()
            await asyncio.sleep(AGAIN_SECONDS)

    async def scrape(self) -> None:
        flight = self._flight
        if flight is None:
            if self._told is not None and self._clock() - self._told < REUSE_SECONDS:
                return
            self._asked = self._clock()
            flight = self._flight = asyncio.create_task(self._ask(warm_up=not self._alive()))
            flight.add_done_callback(self._landed)
        # Who comes while it has been waited for too long already is not kept waiting again.
        left = self._asked + PATIENCE_SECONDS - self._clock()
        await asyncio.wait([flight], timeout=max(0.0, left))

    def stop(self) -> None:
        for task in (self._flight, self._trying):
            if task is not None:
                task.cancel()
        self._flight = self._trying = None

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        if self._flight is flight:
            self._flight = None

    async def _ask(self, *, warm_up: bool) -> None:
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                status, content = await self._fetch()
            if status != HTTPStatus.OK:
                self._failed(f"answers {status}")
                return
            # Not on the event loop: of eight ranks it takes longer than a chunk may wait.
            text, learned = await asyncio.to_thread(self._read, content)
        except (UpstreamError, TimeoutError):
            self._told = None
        except ValueError as exc:
            self._failed(f"cannot be read: {exc}")
        else:
            self._ledger.layout.learn(learned)
            if self._began:
                self._ledger.enter(text)
            else:
                # Asked before it was ready, it tells its warm-up alone; asked later, what it served is in it too.
                self._ledger.begin(text, warm_up=warm_up)
            self._began, self._told, self._complaint = True, self._clock(), ""

    def _failed(self, how: str) -> None:
        """An engine that tells nothing is asked again and again, and one word of it is enough."""
        self._told = None
        if how != self._complaint:
            self._complaint = how
            log.warning("SGLang's /metrics %s", how)

    def _read(self, content: bytes) -> tuple[Text, Learned]:
        text = read(content)
        return text, self._ledger.layout.unseen((*text.growing, *text.gauges))
