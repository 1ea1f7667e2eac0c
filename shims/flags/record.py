"""The frozen record of one vLLM flag's decision, and the short constructors that the tables are written with.
`translate` walks the records; names, arity and choices stand in the catalog.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from shims.flags.draft import Draft

Action = Literal["same", "rename", "convert", "ours", "drop", "refuse", "pass"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one flag or variable: `target` is what a person reads, e.g. `--context-length 4096`."""

    action: Action
    target: str = ""
    note: str = ""


Converter = Callable[["Draft", Any], Outcome]


@dataclass(frozen=True, slots=True)
class Flag:
    name: str
    action: Action
    to: str = ""  # SGLang's flag, for `same` and `rename`
    why: str = ""
    convert: Converter | None = None
    secret: bool = False


def same(name: str, why: str = "") -> Flag:
    return Flag(name, "same", to=name, why=why)


def rename(name: str, to: str, why: str = "") -> Flag:
    return Flag(name, "rename", to=to, why=why)


def convert(name: str, converter: Converter, why: str = "", *, secret: bool = False) -> Flag:
    return Flag(name, "convert", convert=converter, why=why, secret=secret)


def ours(name: str, converter: Converter, why: str = "", *, secret: bool = False) -> Flag:
    return Flag(name, "ours", convert=converter, why=why, secret=secret)


def drop(name: str, why: str) -> Flag:
    return Flag(name, "drop", why=why)


def refuse(name: str, why: str) -> Flag:
    return Flag(name, "refuse", why=why)


def refused(why: str) -> Outcome:
    return Outcome("refuse", note=why)


def dropped(why: str) -> Outcome:
    return Outcome("drop", note=why)


def vocabulary(flag: str, words: dict[str, str], kind: str) -> Converter:
    """A converter for a flag whose values have other names in SGLang."""

    def look_up(draft: Draft, value: str) -> Outcome:
        if value not in words:
            return refused(f"SGLang has no {kind} for '{value}'; those with a counterpart: {', '.join(sorted(words))}")
        return draft.emit(flag, words[value])

    return look_up
