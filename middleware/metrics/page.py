"""The page: vLLM's series and ours, then what SGLang tells beside them, then the process's own.
Served by `middleware.endpoints.metrics`.
"""

import math
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest

from middleware.metrics.buckets import is_beyond
from middleware.metrics.counts import Counter, Histogram, Summary
from middleware.metrics.exposition import GROWING, comments, head, number
from middleware.metrics.known import Known
from middleware.metrics.record import How, Kind, Labels, Series
from middleware.metrics.sglang import is_kept
from middleware.metrics.table import TABLE

Line = tuple[str, float]


class Page:
    """page.write(known)"""

    def __init__(self) -> None:
        # When what is counted began to be: with us.
        self._created = time.time()
        self._counted = tuple(series for series in TABLE if series.how is How.COUNTED)
        self._told = tuple(series for series in TABLE if series.read is not None)
        self._process = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)

    def write(self, known: Known) -> bytes:
        pieces: list[str] = []
        for series, lines in self._all(known):
            pieces.append(comments(series.name, series.kind.value, series.help))
            pieces += [f"{text} {number(value)}\n" for text, value in lines]
            if series.grows:
                pieces += self._creations(series, lines)
        for family in known.ledger.families:
            if is_kept(family.name) and (known.fresh or family.kind in GROWING):
                pieces.append("\n".join((*family.lines, "")))
        return "".join(pieces).encode() + generate_latest(self._process)

    def _all(self, known: Known) -> Iterator[tuple[Series, list[Line]]]:
        yield from _translated(known)
        for series in self._counted:
            if lines := list(_of_counts(series, known)):
                yield series, lines
        for series in self._told:
            assert series.read is not None
            if lines := [(_head(series, known, labels), value) for labels, value in series.read(known)]:
                yield series, lines

    def _creations(self, series: Series, lines: Iterable[Line]) -> Iterator[str]:
        """As prometheus_client has them in this format: one for each set of labels, whatever the bounds."""
        name = f"{series.name.removesuffix('_total') if series.kind is Kind.COUNTER else series.name}_created"
        whole = series.name if series.kind is Kind.COUNTER else f"{series.name}_count"
        heads = [text for text, _ in lines if text.partition("{")[0] == whole]
        if heads:
            yield comments(name, "gauge", series.help)
            value = number(self._created)
            for text in heads:
                yield f"{name}{text.removeprefix(whole)} {value}\n"


def _translated(known: Known) -> Iterator[tuple[Series, list[Line]]]:
    ledger = known.ledger
    last: Series | None = None
    lines: list[Line] = []
    for slot, total in zip(ledger.layout.plan.slots, ledger.totals(with_gauges=known.fresh), strict=True):
        if slot.series is not last:
            if last is not None and lines:
                yield last, lines
            last, lines = slot.series, []
        if total is not None:
            lines.append((slot.head, total))
    if last is not None and lines:
        yield last, lines


def _head(series: Series, known: Known, labels: Labels, suffix: str = "") -> str:
    every = {"engine": "0", "model_name": known.model_name}
    own = {name: every[name] for name in series.own} | dict(labels)
    return head(series.name + suffix, tuple(sorted(own.items())))


def _of_counts(series: Series, known: Known) -> Iterator[Line]:
    metric = getattr(known.counts, series.counts)
    names = series.label_names
    if isinstance(metric, Counter):
        for values, value in metric.values.items():
            yield _head(series, known, tuple(zip(names, values, strict=True))), value
    elif isinstance(metric, Summary):
        for values, (count, total) in metric.values.items():
            labels = tuple(zip(names, values, strict=True))
            yield _head(series, known, labels, "_count"), count
            yield _head(series, known, labels, "_sum"), total
    elif isinstance(metric, Histogram):
        for values, child in metric.values.items():
            yield from _histogram(
                series, known, metric, tuple(zip(names, values, strict=True)), child.counts, child.total
            )


def _histogram(
    series: Series, known: Known, metric: Histogram, labels: Labels, counts: list[int], total: float
) -> Iterator[Line]:
    longest, own = known.longest, known.policy.histogram_buckets
    so_far = 0
    for bound, count in zip((*metric.bounds, math.inf), counts, strict=True):
        so_far += count
        if not is_beyond(series.family, bound, longest, own):
            yield _head(series, known, (*labels, ("le", number(bound))), "_bucket"), float(so_far)
    yield _head(series, known, labels, "_count"), float(so_far)
    yield _head(series, known, labels, "_sum"), total
