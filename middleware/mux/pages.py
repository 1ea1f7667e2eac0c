"""/metrics of several models: each one's page, its name on every series, the switcher's own, the process's once.
Called by `middleware.mux.own`.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from middleware.metrics.exposition import Family, comments, head, number
from middleware.mux.house import House, sglangs
from switcher.series import Histogram
from switcher.snapshot import MemberNow
from switcher.states import State

LABEL = "model_name"
# The process's own, of prometheus_client: one process, whatever it serves.
PROCESS = ("process_", "python_")
PREFIX = "vllm_shim_model_"
Labels = tuple[tuple[str, str], ...]
Line = tuple[str, Labels, float]


async def page(house: House) -> bytes:
    """Of a model that has never been awake there is its state, and no more: its own series would all be zeros."""
    awake = [
        (one.name, one.built.context.metrics)
        for one in sglangs(house.served.values())
        if one.built is not None and any(one.built.context.metrics.counts.engine_starts.values.values())
    ]
    texts = await asyncio.gather(*(metrics.page() for _, metrics in awake))
    own = "".join(_switchers(house.switcher.snapshot().members))
    named = [(name, text.decode()) for (name, _), text in zip(awake, texts, strict=True)]
    return (own + await asyncio.to_thread(merged, named)).encode()


def merged(pages: Iterable[tuple[str, str]]) -> str:
    """A family stands once in a page, with all its samples behind it."""
    families: dict[str, Family] = {}
    for number_of_page, (model, text) in enumerate(pages):
        for family in _families(text):
            process = family.name.startswith(PROCESS)
            if process and number_of_page:
                continue
            lines = family.lines if process else [_named(line, model) for line in family.lines]
            known = families.get(family.name)
            if known is None:
                families[family.name] = Family(family.name, lines=lines)
            else:
                known.lines += [line for line in lines if not line.startswith("#")]
    return "".join("\n".join((*family.lines, "")) for family in families.values())


def _families(text: str) -> Iterator[Family]:
    family: Family | None = None
    for line in text.split("\n"):
        if not line:
            continue
        words = line.split(" ", 3)
        if line.startswith("#") and len(words) > 2 and (family is None or words[2] != family.name):
            if family is not None:
                yield family
            family = Family(words[2])
        if family is not None:
            family.lines.append(line)
    if family is not None:
        yield family


def _named(line: str, model: str) -> str:
    """The sample with the model's name, if it has none of its own."""
    if line.startswith("#"):
        return line
    name, brace, rest = line.partition("{")
    if brace and (rest.startswith(f'{LABEL}="') or f',{LABEL}="' in rest):
        return line
    label = head("", ((LABEL, model),))[1:-1]
    if brace:
        return f"{name}{{{label},{rest}" if not rest.startswith("}") else f"{name}{{{label}{rest}"
    name, _, value = line.partition(" ")
    return f"{name}{{{label}}} {value}"


def _switchers(members: Iterable[MemberNow]) -> Iterator[str]:
    everybody = tuple(members)
    for name, kind, text, lines in _families_of(everybody):
        family = PREFIX + name
        yield comments(family, kind, text)
        for suffix, labels, value in lines:
            yield f"{head(family + suffix, labels)} {number(value)}\n"


def _families_of(members: tuple[MemberNow, ...]) -> Iterator[tuple[str, str, str, list[Line]]]:
    def each(value: Callable[[MemberNow], float]) -> list[Line]:
        return [("", _of(one), value(one)) for one in members]

    states = [
        ("", (*_of(one), ("state", state.value)), float(one.state is state)) for one in members for state in State
    ]
    yield "state", "gauge", "1 for the state the model is in.", states
    yield "requests_in_flight", "gauge", "Requests that the model serves now.", each(lambda one: one.in_flight)
    yield "requests_queued", "gauge", "Requests that wait for the model's turn.", each(lambda one: one.queued)
    yield "oldest_wait_seconds", "gauge", "How long the first of them has waited.", each(lambda one: one.oldest_wait)
    yield "wakes_total", "counter", "How often the model was started or woken.", each(lambda one: one.series.wakes)
    waits = [line for one in members for line in _histogram(_of(one), one.series.waits)]
    yield "wait_seconds", "histogram", "Seconds in the queue of requests that were then served.", waits
    steps = [
        line
        for one in members
        for phase, seconds in sorted(one.series.steps.items())
        for line in _histogram((*_of(one), ("phase", phase)), seconds)
    ]
    yield "step_seconds", "histogram", "Seconds of the steps of a switch, by phase.", steps
    failures = [
        ("", (*_of(one), ("phase", phase)), float(count))
        for one in members
        for phase, count in sorted(one.series.failures.items())
    ]
    yield "step_failures_total", "counter", "Steps that failed; died: the process ended by itself.", failures
    refusals = [
        ("", (*_of(one), ("status", str(status))), float(count))
        for one in members
        for status, count in sorted(one.series.refusals.items())
    ]
    yield "refusals_total", "counter", "Requests that had no turn, by the status they were answered with.", refusals


def _of(one: MemberNow) -> Labels:
    return ((LABEL, one.name),)


def _histogram(labels: Labels, histogram: Histogram) -> Iterator[Line]:
    for bound, count in histogram.cumulative():
        yield "_bucket", (*labels, ("le", number(bound))), float(count)
    yield "_count", labels, float(histogram.count)
    yield "_sum", labels, histogram.sum
