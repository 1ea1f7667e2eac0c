"""The metrics of one middleware, put together: what counts, what asks SGLang, and what writes the page.
Made by `middleware.app`.
"""

import time
from collections.abc import Callable

from middleware.engine import Engine
from middleware.flow import Flow
from middleware.metrics.counts import Counts
from middleware.metrics.known import Known
from middleware.metrics.ledger import Ledger
from middleware.metrics.page import Page
from middleware.metrics.scrape import Fetch, Scraper
from middleware.metrics.table import TABLE
from middleware.model import Model
from middleware.policy import Policy
from middleware.versions import OUR_VERSION, VLLM_VERSION


class Metrics:
    """metrics.counts.finished.inc("stop")
    metrics.flow.active += 1
    text = await metrics.page()
    await metrics.begin()        # a new engine is about to be ready
    """

    __slots__ = ("_known", "_page", "_scraper", "counts", "flow")

    def __init__(
        self,
        engine: Engine,
        model: Model,
        policy: Policy,
        flow: Flow,
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = Counts(policy.histogram_buckets)
        self.flow = flow
        ledger = Ledger(TABLE, policy.histogram_buckets)
        self._scraper = Scraper(fetch, ledger, lambda: engine.alive, clock)
        self._known = Known(engine, model, policy, self.counts, ledger, self.flow, OUR_VERSION, VLLM_VERSION)
        self._page = Page()

    async def begin(self) -> None:
        self.counts.engine_starts.inc()
        # While there are few samples: what they are called is not worked out anew when there are many.
        self._known.ledger.layout.name(self._known.model_name, self._known.longest)
        await self._scraper.begin()

    async def page(self) -> bytes:
        # An engine that is not there is not asked: it would only be waited for.
        if self._known.engine.alive:
            await self._scraper.scrape()
        self._known.age = self._scraper.age if self._known.engine.alive else None
        return self._page.write(self._known)

    def stop(self) -> None:
        self._scraper.stop()
