"""Which sample of SGLang's goes into which of ours: worked out once for every sample that is seen, not at every scrape,
and where it takes long - of many ranks - not on the event loop. Used by `ledger`, which has the values.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.samples import Sample

from middleware.metrics.exposition import sample
from middleware.metrics.plan import RANKS, Named, Plan, Planning
from middleware.metrics.record import Series

log = logging.getLogger("middleware.metrics")


@dataclass(frozen=True, slots=True)
class Learned:
    """What a scrape has shown that nobody knew, and the plan with it; None if that was nothing."""

    samples: Mapping[str, Sample]
    odd: Mapping[str, str]
    plan: Plan | None
    named: Named


class Layout:
    """learned = layout.unseen(heads)    # in any thread
    layout.learn(learned)             # in the loop's, as all that follows
    layout.name("smollm2-135m", 2048)
    layout.plan
    """

    def __init__(self, table: Iterable[Series], bounds: Mapping[str, Sequence[float]]) -> None:
        self._table = tuple(series for series in table if series.rows)
        self._bounds = bounds
        # Replaced, never changed: a thread reads them.
        self._samples: Mapping[str, Sample] = {}
        self._odd: Mapping[str, str] = {}
        self._named = Named("", None)
        self.plan = self._make(self._samples, self._named)

    def unseen(self, heads: Iterable[str]) -> Learned:
        """Raises ValueError for what is no sample: nothing is learned of any then. One without a place here is odd."""
        samples, named = self._samples, self._named
        found = {one: sample(one) for one in heads if one not in samples and one not in self._odd}
        odd = {text: why for text, one in found.items() if (why := _oddity(one))}
        if not found:
            return Learned({}, {}, None, named)
        known = {**samples, **{text: one for text, one in found.items() if text not in odd}}
        return Learned(known, odd, self._make(known, named), named)

    def learn(self, learned: Learned) -> None:
        for text, why in learned.odd.items():
            log.warning("SGLang's sample %.200s is left out of ours: %.100s", text, why)
        if learned.plan is not None:
            self._samples, self._odd = learned.samples, {**self._odd, **learned.odd}
            same = learned.named == self._named
            self.plan = learned.plan if same else self._make(self._samples, self._named)

    def name(self, model: str, longest: int | None) -> None:
        """The model, and its length once that is known."""
        named = Named(model, longest)
        if named != self._named:
            self._named = named
            self.plan = self._make(self._samples, named)

    def _make(self, samples: Mapping[str, Sample], named: Named) -> Plan:
        return Planning(self._table, self._bounds, samples, named).plan()


def _oddity(one: Sample) -> str:
    """Ranks are numbers, and what falls between bounds has one. Empty for what is as it should be."""
    try:
        for name in ("dp_rank", *RANKS):
            int(one.labels.get(name, 0))
        if one.name.endswith("_bucket"):
            float(one.labels.get("le", ""))
    except ValueError as exc:
        return str(exc)
    return ""
