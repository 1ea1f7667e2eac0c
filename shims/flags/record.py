"""The frozen record of one vLLM flag's decision, and the short constructors that the tables are written with.
`translate` walks the records; names, arity and choices stand in the catalog.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shims.actions import Action

if TYPE_CHECKING:
    from shims.flags.draft import Draft


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one flag or variable: `target` is what a person reads, e.g. `--context-length 4096`.
    A `firm` refusal stands whatever VLLM_SHIM_UNSUPPORTED says, and one `by_name` unless VLLM_SHIM_IGNORE_FLAGS names
    its flag."""

    action: Action
    target: str = ""
    note: str = ""
    firm: bool = False
    by_name: bool = False


Converter = Callable[["Draft", Any], Outcome]


@dataclass(frozen=True, slots=True)
class Flag:
    name: str
    action: Action
    to: str = ""  # SGLang's flag, for `same` and `rename`; of the others a hint for the documents
    why: str = ""
    convert: Converter | None = None
    secret: bool = False
    firm: bool = False  # a refusal that no variable can turn into a warning: ignoring it would endanger security


def same(name: str, why: str = "") -> Flag:
    return Flag(name, "same", to=name, why=why)


def rename(name: str, to: str, why: str = "") -> Flag:
    return Flag(name, "rename", to=to, why=why)


def convert(name: str, converter: Converter, why: str = "", *, to: str = "", secret: bool = False) -> Flag:
    return Flag(name, "convert", to=to, why=why, convert=converter, secret=secret)


def ours(name: str, converter: Converter, why: str = "", *, to: str = "", secret: bool = False) -> Flag:
    return Flag(name, "ours", to=to, why=why, convert=converter, secret=secret)


def drop(name: str, why: str) -> Flag:
    return Flag(name, "drop", why=why)


def refuse(name: str, why: str, *, firm: bool = False) -> Flag:
    """vLLM's own default is dropped all the same: it asks for nothing."""
    return Flag(name, "refuse", why=why, firm=firm)


def refused(why: str, *, firm: bool = False) -> Outcome:
    """Understood, and not to be had here: VLLM_SHIM_UNSUPPORTED=warn makes it a warning, unless it is firm."""
    return Outcome("refuse", note=why, firm=firm)


def invalid(why: str) -> Outcome:
    """No value that vLLM would take, or one that the house cannot stand on: always an error."""
    return Outcome("refuse", note=why, firm=True)


def already(why: str) -> Outcome:
    """Honoured by doing nothing: it is what SGLang does anyway."""
    return Outcome("same", note=why)


def dropped(why: str) -> Outcome:
    return Outcome("drop", note=why)


def vocabulary(flag: str, words: dict[str, str], kind: str) -> Converter:
    """A converter for a flag whose values have other names in SGLang."""

    def look_up(draft: Draft, value: str) -> Outcome:
        if value not in words:
            return refused(f"SGLang has no {kind} for '{value}'; those with a counterpart: {', '.join(sorted(words))}")
        return draft.emit(flag, words[value])

    return look_up
