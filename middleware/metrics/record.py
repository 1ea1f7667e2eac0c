"""The shape of the tables of series: one frozen record for each name that vLLM serves, or that we serve beside it.
The tables are in `table`; `plan` walks what comes from SGLang, `served` and `page` the rest, `document` all of it.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# Pairs of a label and its value, in the order of their names.
Labels = tuple[tuple[str, str], ...]
OWN = ("engine", "model_name")
# What is known when the page is written: `known.Known`.
Read = Callable[[Any], Iterable[tuple[Labels, float]]]


class Kind(enum.Enum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"


class How(enum.Enum):
    RENAMED = "renamed"
    COMPUTED = "computed"
    COUNTED = "counted by us"
    TOLD = "told by us"
    CONSTANT = "constant"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Term:
    """A sample of SGLang's: its whole name, and the labels that it must have. What has fewer labels is summed over the
    others, by the rules of `layout`."""

    name: str
    where: Labels = ()
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """A sample of ours, or one for each `le` if it keeps that: the sum of its terms."""

    terms: tuple[Term, ...]
    labels: Labels = ()
    suffix: str = ""
    keeps_le: bool = False
    # A gauge of SGLang's that the sum is multiplied by.
    times: str = ""
    # What that gauge is too large by.
    less: float = 0.0
    # A sample of SGLang's without which the terms mean something else, and the row is 0.
    given: str = ""
    # Of all engines together, because SGLang's tokenizer, which tells a part of it, does not know which one served.
    together: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Written with the functions below. `unit` is the Prometheus unit, or what is counted."""

    name: str
    kind: Kind
    unit: str
    help: str
    how: How
    rows: tuple[Row, ...] = ()
    # Of what we count: the attribute of `counts.Counts`, its labels (or those of what we tell), and those of their
    # values that are there from the beginning, as in vLLM; without labels, the only one.
    counts: str = ""
    label_names: tuple[str, ...] = ()
    seeds: tuple[tuple[str, ...], ...] = ()
    # Of what we tell: asked when the page is written.
    read: Read | None = None
    # Which of `buckets.FAMILIES` its bounds are.
    family: str = ""
    # Of the labels that every series of an engine has, those that this has.
    own: tuple[str, ...] = OWN
    # It is 0 before SGLang says anything of it, unless a sample of SGLang's must be there first.
    only_with: str = ""
    # What differs from vLLM, or why it is absent.
    why: str = ""
    # Of vLLM, where 0.33.0 does not have it any more.
    versions: str = ""

    @property
    def grows(self) -> bool:
        return self.kind is not Kind.GAUGE

    @property
    def begins_with_0(self) -> bool:
        """A gauge that nobody has told is not 0."""
        return self.grows or self.how is How.CONSTANT


def term(name: str, weight: float = 1.0, **where: str) -> Term:
    return Term(name, tuple(sorted(where.items())), weight)


def gauge(name: str, unit: str, text: str, *terms: Term | str, why: str = "", versions: str = "") -> Series:
    return _summed(Kind.GAUGE, name, unit, text, terms, why, versions)


def counter(name: str, unit: str, text: str, *terms: Term | str, why: str = "", versions: str = "") -> Series:
    return _summed(Kind.COUNTER, name, unit, text, terms, why, versions)


def _summed(
    kind: Kind, name: str, unit: str, text: str, terms: tuple[Term | str, ...], why: str, versions: str
) -> Series:
    made = _terms(terms)
    rows = (Row(made),)
    return Series(name=name, kind=kind, unit=unit, help=text, how=_how(made), rows=rows, why=why, versions=versions)


def split(
    kind: Kind, name: str, unit: str, text: str, label: str, parts: dict[str, tuple[Term | str, ...]], why: str = ""
) -> Series:
    """One sample for each value of the label; a value without terms is always 0."""
    rows = tuple(Row(_terms(terms), ((label, value),)) for value, terms in parts.items())
    return Series(name=name, kind=kind, unit=unit, help=text, how=How.COMPUTED, rows=rows, why=why)


def histogram(
    name: str, unit: str, text: str, *sources: Term | str, family: str = "", why: str = "", versions: str = ""
) -> Series:
    """SGLang's own buckets, sum and count, under another name."""
    made = _terms(sources)
    rows = tuple(
        Row(tuple(Term(source.name + suffix, source.where) for source in made), suffix=suffix, keeps_le=not place)
        for place, suffix in enumerate(("_bucket", "_sum", "_count"))
    )
    return Series(
        name=name,
        kind=Kind.HISTOGRAM,
        unit=unit,
        help=text,
        how=_how(made),
        rows=rows,
        family=family,
        why=why,
        versions=versions,
    )


def without_buckets(name: str, unit: str, text: str, total: tuple[Term, ...], count: str, why: str) -> Series:
    """A histogram of which the sum and the count are known, and no bound but infinity."""
    counted = (Term(count),)
    rows = (
        Row(counted, (("le", "+Inf"),), "_bucket", together=True),
        Row(total, suffix="_sum", together=True),
        Row(counted, suffix="_count", together=True),
    )
    return Series(name=name, kind=Kind.HISTOGRAM, unit=unit, help=text, how=How.COMPUTED, rows=rows, why=why)


def counted(
    name: str,
    kind: Kind,
    unit: str,
    text: str,
    counts: str,
    *,
    labels: tuple[str, ...] = (),
    seeds: Iterable[tuple[str, ...]] = (),
    family: str = "",
    own: tuple[str, ...] = OWN,
    why: str = "",
) -> Series:
    """By us, in `counts.Counts`."""
    return Series(
        name=name,
        kind=kind,
        unit=unit,
        help=text,
        how=How.COUNTED,
        counts=counts,
        label_names=labels,
        seeds=tuple(seeds) or (() if labels else ((),)),
        family=family,
        own=own,
        why=why,
    )


def told(
    name: str,
    unit: str,
    text: str,
    read: Read,
    *,
    labels: tuple[str, ...] = (),
    own: tuple[str, ...] = OWN,
    why: str = "",
    versions: str = "",
) -> Series:
    """A gauge of what the middleware knows."""
    return Series(
        name=name,
        kind=Kind.GAUGE,
        unit=unit,
        help=text,
        how=How.TOLD,
        read=read,
        label_names=labels,
        own=own,
        why=why,
        versions=versions,
    )


def constant(name: str, kind: Kind, unit: str, text: str, why: str, versions: str = "") -> Series:
    """Always 0, because that is the truth."""
    rows = (Row(()),)
    return Series(name=name, kind=kind, unit=unit, help=text, how=How.CONSTANT, rows=rows, why=why, versions=versions)


def absent(name: str, kind: Kind, why: str, versions: str = "") -> Series:
    return Series(name=name, kind=kind, unit="", help="", how=How.ABSENT, why=why, versions=versions)


def _how(terms: Sequence[Term]) -> How:
    return How.RENAMED if len(terms) == 1 and not terms[0].where else How.COMPUTED


def _terms(given: Iterable[Term | str]) -> tuple[Term, ...]:
    return tuple(Term(one) if isinstance(one, str) else one for one in given)
