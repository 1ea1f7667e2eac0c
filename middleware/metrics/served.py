"""The metrics of one middleware, put together: what counts, what asks SGLang, and what writes the page.
Made by `middleware.app`.
"""

import time
from collections.abc import Callable, Iterator

from middleware.engine import Engine
from middleware.flow import Flow
from middleware.metrics.counts import Counts
from middleware.metrics.known import Known
from middleware.metrics.ledger import Ledger
from middleware.metrics.page import Page
from middleware.metrics.scrape import Fetch, Scraper
from middleware.metrics.table import TABLE
from middleware.metrics.table.queue import by_engine
from middleware.model import Model
from middleware.policy import Policy


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
        # As in vLLM: a rate over what nobody has counted yet is 0, not unknown.
        for series in TABLE:
            for values in series.seeds:
                getattr(self.counts, series.counts).seed(*values)
        self.flow = flow
        ledger = Ledger(TABLE, policy.histogram_buckets)
        self._scraper = Scraper(fetch, ledger, lambda: engine.alive, clock)
        self._known = Known(engine, model, policy, self.counts, ledger, flow)
        self._page = Page()

    async def begin(self) -> None:
        self.counts.engine_starts.inc()
        # While there are few samples: what they are called is not worked out anew when there are many.
        self._name()
        await self._scraper.begin()

    async def page(self) -> bytes:
        await self._ask()
        self._name()
        return self._page.write(self._known)

    async def load(self) -> tuple[int, int] | None:
        """Requests that run and that wait, by what SGLang says of late; None if it says nothing."""
        await self._ask()
        found = list(by_engine(self._known))
        running = sum(runs for _, runs, _, _ in found)
        waiting = sum(capacity + deferred for _, _, capacity, deferred in found)
        return (round(running), round(waiting)) if found else None

    def told(self) -> Iterator[tuple[str, float]]:
        """What SGLang has told last, by the name of our series, once for each of its sets of labels."""
        ledger = self._known.ledger
        totals = ledger.totals(with_gauges=self._known.fresh)
        for slot, total in zip(ledger.layout.plan.slots, totals, strict=True):
            if total is not None:
                yield slot.head.partition("{")[0], total

    async def _ask(self) -> None:
        # An engine that is not there is not asked: it would only be waited for.
        if self._known.engine.alive:
            await self._scraper.scrape()
        self._known.age = self._scraper.age if self._known.engine.alive else None

    def _name(self) -> None:
        self._known.ledger.layout.name(self._known.model_name, self._known.longest)

    def stop(self) -> None:
        self._scraper.stop()
