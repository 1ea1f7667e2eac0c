"""The frozen record of one variable's decision, and the short constructors that the tables are written with.
`shims.environment` walks the records; a name that ends in `*` stands for a family of names that are not vLLM's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shims.actions import Action
from shims.flags.draft import Draft
from shims.flags.record import Outcome, already, dropped, invalid, refused

Decider = Callable[[Draft, str], Outcome]
Switch = Callable[[str], bool]
SPEED = "speed only: SGLang has kernels and settings of its own"


@dataclass(frozen=True, slots=True)
class Variable:
    name: str  # exact, or a prefix that ends in `*`
    action: Action
    why: str = ""
    to: str = ""  # for the documents: what it becomes
    decide: Decider | None = None
    quiet: bool = False  # no line in the report: it is not vLLM's alone, and every program reads it
    empty: bool = False  # set and empty means something

    def matches(self, name: str) -> bool:
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name


def convert(name: str, decider: Decider, why: str = "", *, to: str = "", empty: bool = False) -> Variable:
    return Variable(name, "convert", why, to, decider, empty=empty)


def ours(name: str, decider: Decider, why: str = "", *, to: str = "", empty: bool = False) -> Variable:
    return Variable(name, "ours", why, to, decider, empty=empty)


def drop(why: str, *names: str) -> tuple[Variable, ...]:
    return tuple(Variable(name, "drop", why) for name in names)


def passed(why: str, *names: str) -> tuple[Variable, ...]:
    return tuple(Variable(name, "pass", why) for name in names)


def unseen(*names: str) -> tuple[Variable, ...]:
    return tuple(Variable(name, "pass", quiet=True) for name in names)


def refuse(asks: Switch, why: str, *names: str, firm: bool = False) -> tuple[Variable, ...]:
    """Refused where `asks` says that the value wants something; a value that wants nothing is honoured."""

    def decide(_draft: Draft, value: str) -> Outcome:
        if not asks(value):
            return already("it asks for nothing that is not so")
        return refused(why, firm=firm)

    return tuple(Variable(name, "refuse", why, decide=decide) for name in names)


# vLLM reads its switches in four ways (0.33.0, envs.py); what one takes for on is off for another.


def number(value: str) -> bool:
    """`bool(int(...))`: raises ValueError for a word."""
    return bool(int(value))


def word(value: str) -> bool:
    """`.strip().lower() in ("1", "true")`: anything else is off."""
    return value.strip().lower() in ("1", "true")


def one(value: str) -> bool:
    """`== "1"`: `true` is off."""
    return value == "1"


def given(value: str) -> bool:
    return bool(value.strip())


def off(switch: Switch) -> Switch:
    """On where the switch is off: for what vLLM does by default."""
    return lambda value: not switch(value)


def names(*defaults: str) -> Switch:
    """On for any word but these."""
    return lambda value: value.strip().lower() not in defaults


def sets(variable: str, on: str = "1", off: str = "0", *, read: Switch = number) -> Decider:
    """A switch that is another of SGLang's."""

    def decide(draft: Draft, value: str) -> Outcome:
        return put(draft, variable, on if read(value) else off)

    return decide


def same_value(variable: str) -> Decider:
    return lambda draft, value: put(draft, variable, value)


def emits(flag: str, *values: object, read: Switch = number, off: str = "off, as SGLang's default") -> Decider:
    """A switch that is a flag of SGLang's."""

    def decide(draft: Draft, value: str) -> Outcome:
        if not read(value):
            return already(off)
        if flag in draft.engine_args:
            return dropped(f"{flag} is decided on the command line")
        return draft.emit(flag, *values)

    return decide


def put(draft: Draft, variable: str, value: str, note: str = "") -> Outcome:
    """Set SGLang's variable, unless a flag on the command line has: flags were decided first."""
    if variable in draft.engine_env:
        return dropped(f"{variable} is decided on the command line")
    return draft.set_env(variable, value, note)


def whole(value: str, least: int, unit: str) -> int | Outcome:
    """A whole number, or the refusal: vLLM would have ended with a traceback."""
    try:
        found = int(value)
    except ValueError:
        return invalid(f"it is no whole number; give {unit}, {least} or more")
    return found if found >= least else invalid(f"it is too small; give {unit}, {least} or more")
