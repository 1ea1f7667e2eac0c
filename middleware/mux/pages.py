"""/metrics of several models: each one's page, its name on every series, the switcher's own, the process's once.
Called by `middleware.mux.own`.
"""

import asyncio
from collections.abc import Iterable, Iterator

from middleware.metrics.exposition import Family, comments, head, number, read
from middleware.metrics.record import Labels
from middleware.mux.families import FAMILIES, PREFIX
from middleware.mux.house import House, sglangs
from switcher.series import Histogram
from switcher.snapshot import MemberNow

LABEL = "model_name"
# The process's own, of prometheus_client: one process, whatever it serves.
PROCESS = ("process_", "python_")


async def page(house: House) -> bytes:
    """Of a model that has never been awake there is its state, and no more: its own series would all be zeros."""
    awake = [
        (one.name, context.metrics)
        for one, context in sglangs(house.served.values())
        if any(context.metrics.counts.engine_starts.values.values())
    ]
    texts = await asyncio.gather(*(metrics.page() for _, metrics in awake))
    own = "".join(_switchers(house.switcher.snapshot().members))
    named = [(name, text) for (name, _), text in zip(awake, texts, strict=True)]
    return (own + await asyncio.to_thread(merged, named)).encode()


def merged(pages: Iterable[tuple[str, bytes]]) -> str:
    """A family stands once in a page, with all its samples behind it."""
    families: dict[str, Family] = {}
    for number_of_page, (model, content) in enumerate(pages):
        for family in read(content).families:
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
    for family in FAMILIES:
        name = PREFIX + family.name
        yield comments(name, family.kind, family.text)
        for one in everybody:
            for value, told in sorted(family.told(one).items()):
                labels = ((LABEL, one.name), *(((family.label, str(value)),) if family.label else ()))
                lines = _histogram(labels, told) if isinstance(told, Histogram) else [("", labels, float(told))]
                for suffix, of_line, count in lines:
                    yield f"{head(name + suffix, of_line)} {number(count)}\n"


def _histogram(labels: Labels, histogram: Histogram) -> Iterator[tuple[str, Labels, float]]:
    for bound, count in histogram.cumulative():
        yield "_bucket", (*labels, ("le", number(bound))), float(count)
    yield "_count", labels, float(histogram.count)
    yield "_sum", labels, histogram.sum
