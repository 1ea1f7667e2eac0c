"""What the middleware counts by itself, from the requests and answers that pass through it.
Driven by `accounts`, `http`, `served`, `middleware.app`, the byte path and the endpoints; `page` writes it, by the
records that name it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from middleware.metrics.buckets import FAMILIES
from middleware.recent import Recent

Values = tuple[str, ...]

# SGLang's words, and the client's, that are vLLM's too; whatever else it says, as of a call of a tool, is a stop there.
_ENDS = frozenset({"length", "abort", "error"})


class Counter:
    """counter.inc("stop"); counter.inc("a", "b", by=3.0)"""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[Values, float] = defaultdict(float)

    def inc(self, *labels: str, by: float = 1.0) -> None:
        self.values[labels] += by

    def seed(self, *labels: str) -> None:
        self.inc(*labels, by=0.0)


class Summary:
    """A count and a sum: summary.observe(512.0, "/v1/completions")"""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[Values, list[float]] = defaultdict(lambda: [0.0, 0.0])

    def observe(self, value: float, *labels: str) -> None:
        both = self.values[labels]
        both[0] += 1.0
        both[1] += value


class Child:
    """Of one set of labels: how many fell between one bound and the next, and what they are together."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0


class Histogram:
    """histogram.observe(0.2, "before")"""

    __slots__ = ("bounds", "values")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.values: dict[Values, Child] = {}

    def observe(self, value: float, *labels: str) -> None:
        child = self.values.get(labels) or self.seed(*labels)
        child.counts[bisect_left(self.bounds, value)] += 1
        child.total += value

    def seed(self, *labels: str) -> Child:
        return self.values.setdefault(labels, Child(len(self.bounds)))


class Counts:
    """One for a middleware. `bounds` are the operator's own, by family."""

    def __init__(self, bounds: Mapping[str, Sequence[float]]) -> None:
        families = {**FAMILIES, **bounds}
        # Of requests.
        self.finished = Counter()  # finished_reason
        self.rejected = Counter()  # reason
        self.params_n = Histogram(families["request_params_n"])
        self.params_max_tokens = Histogram(families["request_tokens"])
        # Of HTTP.
        self.http_requests = Counter()  # handler, method, status
        self.http_request_bytes = Summary()  # handler
        self.http_response_bytes = Summary()  # handler
        self.http_seconds = Histogram(families["http"])  # handler, method
        self.http_seconds_fine = Histogram(families["http_fine"])
        # Of our own work.
        self.engine_starts = Counter()
        self.overhead = Histogram(families["overhead"])  # when
        self.rewritten = Counter()  # rule, table
        self.refused = Counter()  # reason, status
        self.failed = Counter()  # kind
        self.faults = Counter()
        self.recent = Recent()

    def ended(self, reasons: Iterable[str]) -> None:
        """The choices of an answer, by SGLang's word for how each has ended."""
        for reason in reasons:
            self.finished.inc(reason if reason in _ENDS else "stop")
