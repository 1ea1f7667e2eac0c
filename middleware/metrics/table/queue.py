"""Requests that run and wait. SGLang 0.5.23 refreshes its gauges behind a prefill, without what it has just prefilled,
and each tenth decode step: through a prefill of half a minute they say that nothing runs. How many requests there are
we know ourselves, as they are all ours: of that number SGLang says how many wait. Part of THE table of series.
"""

from collections.abc import Iterable, Iterator

from middleware.metrics.known import Known
from middleware.metrics.record import Labels, Series, told

RUNNING = "sglang:num_running_reqs"
CAPACITY = ("sglang:num_queue_reqs",)
# Waiting too, but for something else than room: a grammar, or KV cache from another engine.
DEFERRED = (
    "sglang:num_grammar_queue_reqs",
    "sglang:num_prefill_bootstrap_queue_reqs",
    "sglang:num_decode_prealloc_queue_reqs",
    "sglang:num_decode_transfer_queue_reqs",
)
_SPLIT = (
    "how many wait is SGLang's word, which is up to ten steps old, within the number that is with it; more than "
    "--max-num-seqs do not run"
)


def by_engine(known: Known) -> Iterator[tuple[str, float, float, float]]:
    """By engine: running, waiting for room, deferred. Of several ranks only SGLang knows which has what."""
    gauges = known.gauges(RUNNING)
    engines = dict.fromkeys((*gauges, *known.gauges(CAPACITY[0])))
    for engine in engines:
        capacity, deferred = (_sum(known, names, engine) for names in (CAPACITY, DEFERRED))
        if len(engines) > 1:
            yield engine, gauges.get(engine, 0.0), capacity, deferred
            continue
        together = float(known.flow.active)
        deferred = min(deferred, together)
        running = min(max(0.0, together - deferred - capacity), known.policy.max_running or together)
        yield engine, running, together - deferred - running, deferred


def _sum(known: Known, names: Iterable[str], engine: str) -> float:
    return sum(known.gauges(name).get(engine, 0.0) for name in names)


def _running(known: Known) -> Iterable[tuple[Labels, float]]:
    for engine, running, _, _ in by_engine(known):
        yield (("engine", engine),), running


def _waiting(known: Known) -> Iterable[tuple[Labels, float]]:
    for engine, _, capacity, deferred in by_engine(known):
        yield (("engine", engine),), capacity + deferred


def _by_reason(known: Known) -> Iterable[tuple[Labels, float]]:
    for engine, _, capacity, deferred in by_engine(known):
        yield (("engine", engine), ("reason", "capacity")), capacity
        yield (("engine", engine), ("reason", "deferred")), deferred


QUEUE: tuple[Series, ...] = (
    told(
        "vllm:num_requests_running",
        "requests",
        "Number of requests in model execution batches.",
        _running,
        why=f"all that are with SGLang, but those that wait; with several ranks `{RUNNING}` of each",
    ),
    told(
        "vllm:num_requests_waiting",
        "requests",
        "Number of requests waiting to be processed.",
        _waiting,
        why=f"{_SPLIT}: {' + '.join(f'`{name}`' for name in (*CAPACITY, *DEFERRED))}",
    ),
    told(
        "vllm:num_requests_waiting_by_reason",
        "requests",
        "Number of waiting requests by reason: 'capacity' waits for room, 'deferred' for a grammar or a KV transfer.",
        _by_reason,
        labels=("reason",),
        why=f"capacity is `{CAPACITY[0]}`, deferred the rest; {_SPLIT}",
    ),
)
