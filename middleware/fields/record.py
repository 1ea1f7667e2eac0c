"""The shape of the tables of fields: one frozen record for each field of a request, decided once.
The tables are `fields.chat` and `fields.completions`; `fields.edit` walks them.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from middleware.fields.draft import Draft
from middleware.fields.told import Kind


class Action(enum.Enum):
    SAME = "same"
    RENAME = "rename"
    CONVERT = "convert"
    CHECK = "check"
    DROP = "drop"
    REFUSE = "refuse"


# Takes the field out of the draft and puts in what means the same to SGLang, or refuses the request.
Converter = Callable[[Draft, str], None]
# Looks at a draft as a whole; says nothing if there is nothing to do.
Repair = Callable[[Draft], None]


@dataclass(frozen=True, slots=True)
class Field:
    """Written with the functions below, so that a line of a table reads as a sentence."""

    name: str
    action: Action
    # Why, wherever the answer is not "the same".
    why: str = ""
    target: str = ""
    converter: Converter | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The requests of one kind: their fields in order, and then what is looked at across fields."""

    name: str
    fields: tuple[Field, ...] = ()
    # In their order, by what operators read in the counts of changed and refused requests: a name is not to change.
    repairs: Mapping[str, Repair] = field(default_factory=dict)
    # How its answers are told, by `middleware.dialect`.
    answer: Kind = Kind.OTHER
    # Whether its texts are prompts that SGLang tokenizes by itself: one without tokens would end it.
    prompts: bool = False


def same(name: str, why: str = "") -> Field:
    return Field(name, Action.SAME, why)


def rename(name: str, target: str, why: str) -> Field:
    return Field(name, Action.RENAME, why, target=target)


def convert(name: str, converter: Converter, why: str) -> Field:
    return Field(name, Action.CONVERT, why, converter=converter)


def check(name: str, checker: Converter, why: str) -> Field:
    """The same in both, within what the server allows: `checker` refuses or corrects the value where it stands."""
    return Field(name, Action.CHECK, why, converter=checker)


def drop(name: str, why: str) -> Field:
    return Field(name, Action.DROP, why)


def refuse(name: str, why: str) -> Field:
    """`why` is what the client reads."""
    return Field(name, Action.REFUSE, why)
