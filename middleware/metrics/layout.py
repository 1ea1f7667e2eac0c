"""Which sample of SGLang's goes into which of ours: worked out once for every sample that is seen, not at every scrape.
Used by `ledger`, which has the values.

The rules of labels. Of the ranks that tell the same - tensor, pipeline and expert parallel ones - the first of each
data parallel rank counts, which is the `engine` of ours. Under DP attention SGLang numbers tensor ranks anew for its
caches and not for its schedulers, so that what has other labels of ranks has a first of its own. Gauges by priority
have a total beside them, which counts. Everything else - streams or not, priorities of counters, processes - is summed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.samples import Sample

from middleware.metrics.buckets import FAMILIES
from middleware.metrics.exposition import head, number, sample
from middleware.metrics.record import How, Kind, Labels, Row, Series, Term

_RANKS = ("pp_rank", "tp_rank", "moe_ep_rank")
_ORDER = ("", "_bucket", "_count", "_sum")
FIRST_ENGINE = "0"


@dataclass(slots=True)
class Slot:
    """A sample of ours."""

    series: Series
    head: str
    order: tuple[float, ...]
    # What it is multiplied by: a gauge, by its name and engine.
    times: tuple[str, str] | None = None
    # Whether what it is made of may fall for a while, though it only grows.
    held: bool = False


@dataclass(slots=True)
class Plan:
    """`slots` stand in the order in which they are written; `uses` are the heads with the slots that they go into."""

    slots: list[Slot] = field(default_factory=list)
    uses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    # Heads of gauges, by name and engine.
    gauges: dict[str, dict[str, str]] = field(default_factory=dict)


class Layout:
    """samples = layout.unseen(heads)    # in any thread
    layout.learn(samples)
    layout.name("smollm2-135m", 2048)
    layout.plan
    """

    def __init__(self, table: Iterable[Series], bounds: Mapping[str, Sequence[float]]) -> None:
        self.plan = Plan()
        self._model_name = ""
        self._longest: int | None = None  # The model's length, once it is known.
        self._table = tuple(series for series in table if series.rows)
        self._bounds = bounds
        self._samples: dict[str, Sample] = {}
        self._make()

    def unseen(self, heads: Iterable[str]) -> dict[str, Sample]:
        """Raises ValueError for what is no sample, or has no place here: then nothing is learned of any."""
        found = {one: sample(one) for one in heads if one not in self._samples}
        for one in found.values():
            _check(one)
        return found

    def learn(self, samples: Mapping[str, Sample]) -> None:
        if samples:
            self._samples.update(samples)
            self._make()

    def name(self, model: str, longest: int | None) -> None:
        if (model, longest) != (self._model_name, self._longest):
            self._model_name, self._longest = model, longest
            self._make()

    def _make(self) -> None:
        reporters = self._reporters()
        by_name: dict[str, list[tuple[str, str, dict[str, str]]]] = {}
        plan = Plan()
        for text, one in self._samples.items():
            labels = one.labels
            engine = labels.get("dp_rank", FIRST_ENGINE)
            if "tp_rank" in labels and _rank(labels) != reporters[engine, _shape(labels)]:
                continue
            by_name.setdefault(one.name, []).append((text, engine, labels))
            if not labels.get("priority"):
                plan.gauges.setdefault(one.name, {})[engine] = text
        made: dict[str, Slot] = {}
        uses: dict[str, list[tuple[str, float]]] = {}
        for place, series in enumerate(self._table):
            if series.only_with and series.only_with not in by_name:
                continue
            for row_place, row in enumerate(series.rows):
                self._row(series, (place, row_place), row, by_name, made, uses)
        plan.slots = sorted(made.values(), key=lambda slot: slot.order)
        numbers = {slot.head: number for number, slot in enumerate(plan.slots)}
        plan.uses = {text: [(numbers[target], weight) for target, weight in to] for text, to in uses.items()}
        self.plan = plan

    def _reporters(self) -> dict[tuple[str, tuple[str, ...]], tuple[int, ...]]:
        first: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}
        for one in self._samples.values():
            if "tp_rank" in one.labels:
                key, rank = (one.labels.get("dp_rank", FIRST_ENGINE), _shape(one.labels)), _rank(one.labels)
                first[key] = min(first.get(key, rank), rank)
        return first

    def _row(
        self,
        series: Series,
        place: tuple[int, int],
        row: Row,
        by_name: Mapping[str, list[tuple[str, str, dict[str, str]]]],
        made: dict[str, Slot],
        uses: dict[str, list[tuple[str, float]]],
    ) -> None:
        found = False
        for term in row.terms if not row.given or row.given in by_name else ():
            for text, engine, labels in by_name.get(term.name, ()):
                if not _fits(term, labels) or (series.kind is Kind.GAUGE and labels.get("priority")):
                    continue
                le = labels["le"] if row.keeps_le else ""
                if le and self._is_beyond(series, le):
                    continue
                found = True
                slot = self._slot(series, place, row, FIRST_ENGINE if row.together else engine, le)
                made.setdefault(slot.head, slot)
                uses.setdefault(text, []).append((slot.head, term.weight))
        if not found and (series.kind is not Kind.GAUGE or series.how is How.CONSTANT):
            for le in self._seeds(series) if row.keeps_le else ("",):
                slot = self._slot(series, place, row, FIRST_ENGINE, le)
                made[slot.head] = slot

    def _slot(self, series: Series, place: tuple[int, int], row: Row, engine: str, le: str) -> Slot:
        labels: Labels = (*row.labels, ("engine", engine), ("model_name", self._model_name))
        if le:
            labels = (*labels, ("le", le))
        child = 0 if series.kind is Kind.HISTOGRAM else place[1]
        order = (place[0], int(engine), _ORDER.index(row.suffix), child, float(le or 0))
        times = (row.times, engine) if row.times else None
        held = series.kind is not Kind.GAUGE and (times is not None or any(term.weight < 0 for term in row.terms))
        return Slot(series, head(series.name + row.suffix, tuple(sorted(labels))), order, times, held)

    def _is_beyond(self, series: Series, le: str) -> bool:
        """vLLM's bounds of lengths end with the model's."""
        ours = series.family == "request_tokens" and series.family not in self._bounds
        return ours and self._longest is not None and le != "+Inf" and float(le) > self._longest

    def _seeds(self, series: Series) -> list[str]:
        bounds = self._bounds.get(series.family) or FAMILIES.get(series.family, ())
        texts = [number(float(bound)) for bound in bounds]
        return [*(le for le in texts if not self._is_beyond(series, le)), "+Inf"]


def _check(one: Sample) -> None:
    """Raises ValueError: ranks are numbers, and what falls between bounds has one."""
    for name in ("dp_rank", *_RANKS):
        int(one.labels.get(name, 0))
    if one.name.endswith("_bucket"):
        float(one.labels.get("le", ""))


def _rank(labels: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(int(labels.get(name, 0)) for name in _RANKS)


def _shape(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in _RANKS if name in labels)


def _fits(term: Term, labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in term.where)
