"""Prometheus' text format 0.0.4, read and written. What stands before a sample's value is read once and then known:
prometheus_client's parser takes 19 us a line (14 ms for an SGLang of one rank, 110 for eight), a known line 0.4.
Used by whoever reads SGLang's page - `scrape`, `layout`, `middleware.stall` - or writes ours: `plan` and `page`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from middleware.metrics.record import Labels

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GROWING = frozenset({"counter", "histogram", "summary"})
# With --scheduling-policy priority clients choose this label's value, any int64: they would make series without end.
_BY_PRIORITY = 'priority="'
_PAIR = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(slots=True)
class Family:
    """As it stands in the text: a name, a kind, and the lines with the comments before them."""

    name: str
    kind: str = "untyped"
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Text:
    """The values by what stands before them, the name and the labels: of what only grows, and of everything else."""

    growing: dict[str, float] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    families: list[Family] = field(default_factory=list)


def read(content: bytes) -> Text:
    """Raises ValueError for what is no such text. Priorities are folded into the empty one: what grows is their sum,
    and of a gauge SGLang tells the total there."""
    text = Text()
    folded: dict[str, tuple[Family, int]] = {}
    values = text.gauges
    family = Family("")
    for line in content.decode().split("\n"):
        if not line:
            continue
        if line[0] == "#":
            words = line.split(" ", 3)
            if len(words) < 3 or words[1] not in ("HELP", "TYPE"):
                continue
            if words[2] != family.name:
                family = Family(words[2])
                text.families.append(family)
                values = text.gauges
            if len(words) > 3 and words[1] == "TYPE":
                family.kind = words[3]
                values = text.growing if family.kind in GROWING else text.gauges
            family.lines.append(line)
            continue
        head, _, value = line.rpartition(" ")
        if head[-1:] != "}" and " " in head:  # With a time behind it.
            head, _, value = head.rpartition(" ")
        if _BY_PRIORITY in head and (one := _without_priority(head)) is not None:
            if values is text.gauges:
                if one != head:
                    continue
            else:
                if one not in folded:
                    folded[one] = family, len(family.lines)
                    family.lines.append(line)
                values[one] = values.get(one, 0.0) + float(value)
                continue
        values[head] = float(value)
        family.lines.append(line)
    for one, (family, place) in folded.items():
        family.lines[place] = f"{one} {number(text.growing[one])}"
    return text


def _without_priority(head: str) -> str | None:
    """None where it is no label, but a part of another's value."""
    if "\\" not in head:  # Where no quote is escaped; of 300 priorities the other way takes a second.
        start = head.index(_BY_PRIORITY)
        if head[start - 1] in "{," and head.count('"', 0, start) % 2 == 0:
            start += len(_BY_PRIORITY)
            return head[:start] + head[head.find('"', start) :]
    name, _, labels = head.partition("{")
    found = False

    def emptied(pair: re.Match[str]) -> str:
        nonlocal found
        if pair[1] != "priority":
            return pair[0]
        found = True
        return f'{_BY_PRIORITY}"'

    emptied_labels = _PAIR.sub(emptied, labels)
    return f"{name}{{{emptied_labels}" if found else None


def sample(head: str) -> Sample:
    """Raises ValueError for what is none."""
    return next(_samples(head))


def _samples(head: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(f"{head} 0\n"):
        yield from family.samples
    raise ValueError(f"{head!r} is no sample")


def head(name: str, labels: Labels) -> str:
    if not labels:
        return name
    pairs = ",".join([f'{label}="{_escaped(value)}"' for label, value in labels])
    return f"{name}{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def comments(name: str, kind: str, text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {escaped}\n# TYPE {name} {kind}\n"


def number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
