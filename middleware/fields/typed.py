"""The records of the tables by what is done with a value of the right kind: a line reads as a sentence.
Each checks the kind first and drops a null, as vLLM does; SGLang 0.5.23 refuses most nulls.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from middleware.errors import bad_value
from middleware.fields.draft import Draft
from middleware.fields.kinds import Errors, FieldType, schema_error
from middleware.fields.record import Action, Converter, Field

# What a value is looked at for once it is of its kind: refuses it, or puts another in its place.
Then = Callable[[Draft, str, Any], None]

NOTHING: tuple[object, ...] = (False, 0, "", [], {})


def read(draft: Draft, name: str, kind: FieldType) -> Any:
    """The value as vLLM reads it; None where there is none, and then the field is gone."""
    value = draft.value(name)
    if type(value) is kind.exact:
        return value
    if value is None and kind.null:
        draft.drop(name)
        return None
    errors: Errors = []
    taken = kind.read(value, f"{draft.at}.{name}", errors)
    if errors:
        raise schema_error(errors)
    if taken is not value:
        draft.replace(name, taken)
    return taken


@dataclass(frozen=True, slots=True)
class Typed:
    """A converter: the kind of the value, and what else is asked of it."""

    kind: FieldType
    then: Then | None = None

    def __call__(self, draft: Draft, name: str) -> None:
        value = read(draft, name, self.kind)
        if value is not None and self.then is not None:
            self.then(draft, name, value)


@dataclass(frozen=True, slots=True)
class Unless:
    """Refused, except for values that ask for nothing."""

    kind: FieldType
    why: str
    nothing: tuple[object, ...] = NOTHING

    def __call__(self, draft: Draft, name: str) -> None:
        value = read(draft, name, self.kind)
        if value is None:
            return
        if not any(value == harmless for harmless in self.nothing):
            raise bad_value(f"{name} is not supported: {self.why}.", name)
        draft.drop(name)


def takes(name: str, kind: FieldType, why: str = "the same", then: Then | None = None) -> Field:
    """SGLang's by the same name."""
    return Field(name, Action.CHECK, why, converter=Typed(kind, then))


@dataclass(frozen=True, slots=True)
class Before:
    kind: FieldType
    before: Converter
    then: Then | None = None

    def __call__(self, draft: Draft, name: str) -> None:
        self.before(draft, name)
        if name in draft.fields:
            Typed(self.kind, self.then)(draft, name)


def first(name: str, kind: FieldType, before: Converter, why: str, then: Then | None = None) -> Field:
    """The same, but vLLM has something to say before it looks at the kind."""
    return Field(name, Action.CHECK, why, converter=Before(kind, before, then))


def becomes(name: str, kind: FieldType, then: Then, why: str) -> Field:
    """Another field of SGLang's: `then` takes it out and puts that in."""
    return Field(name, Action.CONVERT, why, converter=Typed(kind, then))


def ignored(name: str, kind: FieldType, why: str) -> Field:
    return Field(name, Action.DROP, why, converter=Typed(kind, _drop))


def ours(name: str, kind: FieldType, why: str) -> Field:
    """Done by the middleware, which has read it before the walk; SGLang is not told."""
    return Field(name, Action.CONVERT, why, converter=Typed(kind, _drop))


def for_prompt(name: str, kind: FieldType, default: object, why: str) -> Field:
    """Left in the draft where it asks for another prompt than SGLang would build; `preparation` takes it out."""

    def then(draft: Draft, name: str, value: Any) -> None:
        if value == default:
            draft.drop(name)

    return Field(name, Action.CONVERT, why, converter=Typed(kind, then))


def unless_nothing(name: str, kind: FieldType, why: str, nothing: tuple[object, ...] = NOTHING) -> Field:
    """`why` is what the client reads that asks for something."""
    return Field(name, Action.REFUSE, why, converter=Unless(kind, why, nothing))


def _drop(draft: Draft, name: str, value: Any) -> None:
    draft.drop(name)
