"""How samples of ours are made of SGLang's. Made by `layout`, in any thread; read by `ledger` and `page`.

The rules of labels. Of the ranks that tell the same - tensor, pipeline and expert parallel ones - the first of each
data parallel rank counts, which is the `engine` of ours. Under DP attention SGLang numbers tensor ranks anew for its
caches and not for its schedulers, so that what has other labels of ranks has a first of its own. Everything else -
streams or not, processes - is summed; priorities are already.

What grows is there before SGLang tells it, as 0, and stays: of what schedulers tell for each engine that is known, of
what the tokenizer tells - without ranks - for the first alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.samples import Sample

from middleware.metrics.buckets import FAMILIES, is_beyond
from middleware.metrics.exposition import head, number
from middleware.metrics.record import Kind, Labels, Row, Series, Term

RANKS = ("pp_rank", "tp_rank", "moe_ep_rank")
_ORDER = ("", "_bucket", "_count", "_sum")
FIRST_ENGINE = "0"


@dataclass(frozen=True, slots=True)
class Named:
    model: str
    longest: int | None  # The model's length, once it is known.


@dataclass(slots=True)
class Slot:
    """A sample of ours."""

    series: Series
    head: str
    order: tuple[float, ...]
    # What it is multiplied by: a gauge, by its name and engine, less so much.
    times: tuple[str, str, float] | None = None
    # Whether what it is made of may fall for a while, though it only grows.
    held: bool = False


@dataclass(slots=True)
class Plan:
    """`slots` stand in the order in which they are written; `uses` are the heads with the slots that they go into."""

    slots: list[Slot] = field(default_factory=list)
    uses: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    # Heads of gauges, by name and engine.
    gauges: dict[str, dict[str, str]] = field(default_factory=dict)


class Planning:
    """plan = Planning(table, bounds, samples, named).plan()    # once"""

    def __init__(
        self,
        table: Sequence[Series],
        bounds: Mapping[str, Sequence[float]],
        samples: Mapping[str, Sample],
        named: Named,
    ) -> None:
        self._table = table
        self._bounds = bounds
        self._named = named
        self._made: dict[str, Slot] = {}
        self._uses: dict[str, list[tuple[str, float]]] = {}
        self._gauges: dict[str, dict[str, str]] = {}
        self._by_name: dict[str, list[tuple[str, str, dict[str, str]]]] = {}
        self._of_schedulers: set[str] = set()
        self._engines = self._sort(samples)

    def plan(self) -> Plan:
        for place, series in enumerate(self._table):
            if not series.only_with or series.only_with in self._by_name:
                for row_place, row in enumerate(series.rows):
                    self._row(series, (place, row_place), row)
        slots = sorted(self._made.values(), key=lambda slot: slot.order)
        numbers = {slot.head: place for place, slot in enumerate(slots)}
        uses = {text: [(numbers[target], weight) for target, weight in to] for text, to in self._uses.items()}
        return Plan(slots, uses, self._gauges)

    def _sort(self, samples: Mapping[str, Sample]) -> list[str]:
        """The engines that are known."""
        reporters = _reporters(samples.values())
        engines = {FIRST_ENGINE}
        for text, one in samples.items():
            labels = one.labels
            engine = _engine(labels)
            engines.add(engine)
            if "tp_rank" in labels:
                self._of_schedulers.add(one.name)
                if _rank(labels) != reporters[engine, _shape(labels)]:
                    continue
            self._by_name.setdefault(one.name, []).append((text, engine, labels))
            self._gauges.setdefault(one.name, {})[engine] = text
        return sorted(engines, key=int)

    def _row(self, series: Series, place: tuple[int, int], row: Row) -> None:
        found: set[str] = set()
        for term in row.terms if not row.given or row.given in self._by_name else ():
            for text, engine, labels in self._by_name.get(term.name, ()):
                if not _fits(term, labels):
                    continue
                le = labels["le"] if row.keeps_le else ""
                if le and self._is_beyond(series, float(le)):
                    continue
                to = FIRST_ENGINE if row.together else engine
                found.add(to)
                slot = self._slot(series, place, row, to, le)
                self._made.setdefault(slot.head, slot)
                self._uses.setdefault(text, []).append((slot.head, term.weight))
        if series.begins_with_0:
            for engine in self._expected(row):
                if engine not in found:
                    for le in self._seeds(series) if row.keeps_le else ("",):
                        slot = self._slot(series, place, row, engine, le)
                        self._made[slot.head] = slot

    def _expected(self, row: Row) -> Iterator[str]:
        of_schedulers = not row.together and any(term.name in self._of_schedulers for term in row.terms)
        yield from self._engines if of_schedulers else (FIRST_ENGINE,)

    def _slot(self, series: Series, place: tuple[int, int], row: Row, engine: str, le: str) -> Slot:
        labels: Labels = (*row.labels, ("engine", engine), ("model_name", self._named.model))
        if le:
            labels = (*labels, ("le", le))
        child = 0 if series.kind is Kind.HISTOGRAM else place[1]
        order = (place[0], int(engine), _ORDER.index(row.suffix), child, float(le or 0))
        times = (row.times, engine, row.less) if row.times else None
        held = series.grows and (times is not None or any(term.weight < 0 for term in row.terms))
        return Slot(series, head(series.name + row.suffix, tuple(sorted(labels))), order, times, held)

    def _is_beyond(self, series: Series, bound: float) -> bool:
        return is_beyond(series.family, bound, self._named.longest, self._bounds)

    def _seeds(self, series: Series) -> list[str]:
        bounds = self._bounds.get(series.family) or FAMILIES.get(series.family, ())
        return [*(number(float(bound)) for bound in bounds if not self._is_beyond(series, bound)), "+Inf"]


def _reporters(samples: Iterable[Sample]) -> dict[tuple[str, tuple[str, ...]], tuple[int, ...]]:
    first: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}
    for one in samples:
        if "tp_rank" in one.labels:
            key, rank = (_engine(one.labels), _shape(one.labels)), _rank(one.labels)
            first[key] = min(first.get(key, rank), rank)
    return first


def _engine(labels: Mapping[str, str]) -> str:
    return labels.get("dp_rank", FIRST_ENGINE)


def _rank(labels: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(int(labels.get(name, 0)) for name in RANKS)


def _shape(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(name for name in RANKS if name in labels)


def _fits(term: Term, labels: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in term.where)
