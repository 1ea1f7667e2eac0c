"""The values of SGLang's samples from one scrape to the next. Its counters begin anew with each engine, ours do not;
and what it counted before it was ours to serve - its warm-up - is not counted.
Filled by `scrape`, read by `page`.
"""

from collections.abc import Iterable, Mapping, Sequence

from middleware.metrics.exposition import Family, Text
from middleware.metrics.layout import Layout
from middleware.metrics.record import Series

# Of an engine's start, with many digits: no two engines have the same.
BIRTHMARK = "sglang:startup_time_seconds{"


class Ledger:
    """ledger.enter(text)       # of a scrape, whose samples the layout has learned
    ledger.begin(text)       # of the first scrape of an engine, or of one that was silent
    ledger.totals(with_gauges=True)    # by the plan's slots; None is not known
    """

    def __init__(self, table: Iterable[Series], bounds: Mapping[str, Sequence[float]]) -> None:
        self.layout = Layout(table, bounds)
        # SGLang's own families, as it last told them.
        self.families: list[Family] = []
        self._now: dict[str, float] = {}
        self._base: dict[str, float] = {}
        self._gauges: dict[str, float] = {}
        self._factors: dict[str, float] = {}
        self._highest: dict[str, float] = {}
        # Of what is held: how much more was shown than the dead have counted in the end.
        self._owed: dict[str, float] = {}

    def enter(self, text: Text) -> None:
        self._now.update(text.growing)
        self._gauges = text.gauges
        self.families = text.families

    def begin(self, text: Text, *, warm_up: bool = True) -> None:
        """What was counted stays, and what this engine has counted so far is not ours if it is its warm-up."""
        if _marks(self._gauges) and _marks(self._gauges) <= _marks(text.gauges):
            # It was silent, and is the one that it was: what it has counted meanwhile is ours.
            self.enter(text)
            return
        self._forgive()
        for head, value in self._now.items():
            self._base[head] = self._base.get(head, 0.0) + value
        # Also of what this engine may never count.
        self._now = dict.fromkeys(self._base, 0.0)
        self.enter(text)
        if warm_up:
            for head, value in self._now.items():
                self._base[head] = self._base.get(head, 0.0) - value

    def _forgive(self) -> None:
        """Requests that died with their engine had a first token and have no end: what is held would not move until the
        next engine's have made up for theirs."""
        totals = self._counted(with_gauges=False)
        self._hold(list(totals))
        for slot, total in zip(self.layout.plan.slots, totals, strict=True):
            if slot.held:
                self._owed[slot.head] = self._highest[slot.head] - (total or 0.0)

    def gauges(self, name: str) -> dict[str, float]:
        """Of SGLang, by engine."""
        heads = self.layout.plan.gauges.get(name, {})
        return {engine: self._gauges[head] for engine, head in heads.items() if head in self._gauges}

    def totals(self, *, with_gauges: bool) -> list[float | None]:
        totals = self._counted(with_gauges=with_gauges)
        self._hold(totals)
        return totals

    def _counted(self, *, with_gauges: bool) -> list[float | None]:
        plan = self.layout.plan
        totals: list[float | None] = [0.0 if slot.series.begins_with_0 else None for slot in plan.slots]
        sources = [(self._now, self._base)]
        if with_gauges:
            sources.append((self._gauges, {}))
        for values, base in sources:
            for head, value in values.items():
                uses = plan.uses.get(head)
                if uses:
                    whole = value + base.get(head, 0.0)
                    for number, weight in uses:
                        totals[number] = (totals[number] or 0.0) + weight * whole
        self._multiply(totals)
        return totals

    def _hold(self, totals: list[float | None]) -> None:
        """SGLang counts the first token of a request before its end: what is its end less its first token falls with
        each request that runs, and Prometheus would take that for a counter that begins anew."""
        for number, slot in enumerate(self.layout.plan.slots):
            if slot.held:
                total = (totals[number] or 0.0) + self._owed.get(slot.head, 0.0)
                highest = max(total, self._highest.get(slot.head, 0.0))
                totals[number] = self._highest[slot.head] = highest

    def _multiply(self, totals: list[float | None]) -> None:
        for number, slot in enumerate(self.layout.plan.slots):
            total = totals[number]
            if slot.times is not None and total is not None:
                name, engine, less = slot.times
                # An engine that has just started does not tell yet; what it told before is what was counted by.
                told = self.gauges(name).get(engine)
                factor = max(0.0, told - less) if told else self._factors.get(slot.head, 0.0)
                self._factors[slot.head] = factor
                totals[number] = total * factor


def _marks(gauges: Mapping[str, float]) -> frozenset[tuple[str, float]]:
    return frozenset(one for one in gauges.items() if one[0].startswith(BIRTHMARK))
