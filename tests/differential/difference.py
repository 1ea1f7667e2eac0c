"""One way in which an answer of ours is not vLLM's, and the record that says why it stays.
Made by `tests.differential.compare`; the list of those that stay is `tests.differential.accepted`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from tests.differential.wire import Judged

# Texts for people and the order of keys: shown by the report, and no fault by themselves.
ADVISORY = frozenset({"text", "order"})


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """`where` is `status`, `header NAME`, `stream`, or a path into the JSON such as `choices[].message.content`;
    in a stream the kind of chunk comes first: `<text>.choices[].delta`.

    kind: status, missing, extra, presence (always here, at times there), type, value, length, sequence, unrecorded;
    text and order are advisory.
    """

    name: str
    where: str
    kind: str
    ours: str
    theirs: str

    @property
    def advisory(self) -> bool:
        return self.kind in ADVISORY

    @property
    def of_kind(self) -> str:
        if self.kind == "unrecorded":
            return f"{self.where} | {self.kind}"
        ours, theirs = self.ours, self.theirs
        if self.kind in ("value", "length"):  # how much does not make a class of its own
            ours, theirs = (re.sub(r"^(\[[\d, ]*\]|\d+)( or \d+)*$", "#", text) for text in (ours, theirs))
        return f"{self.where} | {self.kind} | {_short(ours)} -> {_short(theirs)}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """`requests` are names or `METHOD /path`, parted by ` | `; a star in any field stands for anything."""

    requests: str
    where: str
    kind: str
    reason: str

    def covers(self, difference: Difference, entry: Judged) -> bool:
        route = f"{entry.request.method} {entry.request.path}"
        return (
            _like(self.kind, difference.kind)
            and _like(self.where, difference.where)
            and any(_like(one, difference.name) or _like(one, route) for one in self.requests.split(" | "))
        )


def _like(pattern: str, text: str) -> bool:
    return pattern in ("*", text) or ("*" in pattern and _compiled(pattern).fullmatch(text) is not None)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
