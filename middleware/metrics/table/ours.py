"""Series of our own: what the middleware does to requests, what it costs, and how the engine is.
Part of THE table of series.
"""

from collections.abc import Iterable

from middleware.engine import State
from middleware.metrics.known import Known
from middleware.metrics.record import Kind, Labels, Series, counted, told
from middleware.versions import OUR_VERSION, VLLM_VERSION


def _ready(known: Known) -> Iterable[tuple[Labels, float]]:
    yield (), float(known.engine.refusal() is None)


def _state(known: Known) -> Iterable[tuple[Labels, float]]:
    for state in State:
        yield (("state", state.value),), float(state is known.engine.state)


def _phase(known: Known) -> Iterable[tuple[Labels, float]]:
    if known.engine.state is State.LOADING and known.engine.phase:
        yield (("phase", known.engine.phase.value),), 1.0


def _stalled(known: Known) -> Iterable[tuple[Labels, float]]:
    yield (), known.engine.stalled_seconds


def _told(known: Known) -> Iterable[tuple[Labels, float]]:
    yield (), float(known.fresh)


def _age(known: Known) -> Iterable[tuple[Labels, float]]:
    if known.age is not None:
        yield (), known.age


def _in_flight(known: Known) -> Iterable[tuple[Labels, float]]:
    yield (), float(known.flow.active)


def _build(known: Known) -> Iterable[tuple[Labels, float]]:
    yield (("version", OUR_VERSION), ("vllm_version", VLLM_VERSION)), 1.0


OURS: tuple[Series, ...] = (
    told("vllm_shim:engine_ready", "0 or 1", "Whether requests are admitted.", _ready),
    told(
        "vllm_shim:engine_state",
        "0 or 1",
        "The engine's state: loading, ready, paused, asleep or gone.",
        _state,
        labels=("state",),
    ),
    told(
        "vllm_shim:engine_phase",
        "1",
        "What the engine is loading, as far as its log tells.",
        _phase,
        labels=("phase",),
    ),
    told(
        "vllm_shim:engine_stalled_seconds",
        "seconds",
        "How long the engine has had requests and made no token of them, once that is longer than its watchdog's time.",
        _stalled,
    ),
    told(
        "vllm_shim:engine_metrics_fresh",
        "0 or 1",
        "Whether the engine has told its metrics of late, and its gauges are shown; if not, counters are the last that "
        "were heard and its gauges are left out.",
        _told,
    ),
    told(
        "vllm_shim:engine_metrics_age_seconds",
        "seconds",
        "How long ago the engine has told the metrics that are shown; not there if this one has told none.",
        _age,
    ),
    told(
        "vllm_shim:requests_in_flight",
        "requests",
        "Requests sent to SGLang and not answered to the end; each prompt and each choice of one is one, as in vLLM.",
        _in_flight,
    ),
    told(
        "vllm_shim:build_info",
        "1",
        "Versions of this image and of the vLLM it speaks for.",
        _build,
        labels=("version", "vllm_version"),
        own=(),
    ),
    counted(
        "vllm_shim:engine_starts_total",
        Kind.COUNTER,
        "starts",
        "How often the engine has become ready.",
        "engine_starts",
    ),
    counted(
        "vllm_shim:request_overhead_seconds",
        Kind.HISTOGRAM,
        "seconds",
        "Time that the middleware adds: 'before', from a whole request to its last byte to SGLang; 'after', from "
        "SGLang's last byte of an answer that is no stream to ours.",
        "overhead",
        labels=("when",),
        seeds=[("before",), ("after",)],
        family="overhead",
    ),
    counted(
        "vllm_shim:requests_rewritten_total",
        Kind.COUNTER,
        "requests",
        "Requests in which a rule of the tables of fields has changed something.",
        "rewritten",
        labels=("rule", "table"),
    ),
    counted(
        "vllm_shim:requests_refused_total",
        Kind.COUNTER,
        "requests",
        "Requests that were answered with an error, by the rule or the kind of error: before SGLang was asked, or, "
        "where it begins with 'engine:', by SGLang.",
        "refused",
        labels=("reason", "status"),
    ),
    counted(
        "vllm_shim:engine_errors_total",
        Kind.COUNTER,
        "requests",
        "Requests that SGLang failed: unreachable, closed, cut_short, bad_answer, no_answer, error (told inside a "
        "stream), or its error's status.",
        "failed",
        labels=("kind",),
    ),
    counted(
        "vllm_shim:faults_total",
        Kind.COUNTER,
        "requests",
        "Requests that a fault of the middleware's own has spoiled; its log has the traceback.",
        "faults",
    ),
)
