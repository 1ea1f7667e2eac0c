"""The metrics of one middleware, put together: what counts, what asks SGLang, and what writes the page.
Made by `middleware.app`.
"""

from middleware.engine import Engine
from middleware.metrics.counts import Counts
from middleware.metrics.known import Known
from middleware.metrics.ledger import Ledger
from middleware.metrics.page import Page
from middleware.metrics.scrape import Fetch, Scraper
from middleware.metrics.table import TABLE
from middleware.model import Model
from middleware.policy import Policy
from middleware.stall import Flow
from middleware.versions import OUR_VERSION, VLLM_VERSION


class Metrics:
    """metrics.counts.finished.inc("stop")
    metrics.flow.active += 1
    text = await metrics.page()
    await metrics.begin()        # a new engine is about to be ready
    """

    __slots__ = ("_known", "_page", "_scraper", "counts", "flow")

    def __init__(self, engine: Engine, model: Model, policy: Policy, flow: Flow, fetch: Fetch) -> None:
        self.counts = Counts(policy.histogram_buckets)
        self.flow = flow
        ledger = Ledger(TABLE, policy.histogram_buckets)
        self._scraper = Scraper(fetch, ledger)
        self._known = Known(engine, model, policy, self.counts, ledger, self.flow, OUR_VERSION, VLLM_VERSION)
        self._page = Page()

    async def begin(self) -> None:
        self.counts.engine_starts.inc()
        await self._scraper.begin()

    async def page(self) -> bytes:
        # An engine that is not there is not asked: it would only be waited for.
        self._known.fresh = self._known.engine.alive and await self._scraper.scrape()
        return self._page.write(self._known)

    def stop(self) -> None:
        self._scraper.stop()
