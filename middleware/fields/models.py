"""Kinds of objects with members of their own, of unions and of values that are looked at once more: what pydantic
makes of a nested model, all of its mistakes told at once. Used by `middleware.anthropic.schema`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from middleware.fields.kinds import LIST, OBJECT, Errors, FieldType, never_null, wrong

# What is wrong with a value that is of its kind, in words for the client; None where nothing is.
Look = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    kind: FieldType
    needed: bool = False


def needed(name: str, kind: FieldType) -> Member:
    return Member(name, never_null(kind), needed=True)


def may(name: str, kind: FieldType) -> Member:
    """Absent or null is the same, unless the kind says never."""
    return Member(name, kind)


def model(*members: Member, after: Look | None = None) -> FieldType:
    """Only what it has a member for is read, and is left; `after` is asked of a model that is in order."""

    def read(value: Any, loc: str, errors: Errors) -> Any:
        if not isinstance(value, dict):
            return OBJECT.read(value, loc, errors)
        known = len(errors)
        taken: dict[str, Any] = {}
        for member in members:
            place = f"{loc}.{member.name}"
            if member.name not in value:
                if member.needed:
                    wrong(errors, "missing", place, "Field required", value)
                continue
            item = value[member.name]
            taken[member.name] = None if item is None and member.kind.null else member.kind.read(item, place, errors)
        if after is not None and len(errors) == known:
            _look(after, taken, value, loc, errors)
        return taken

    return FieldType("model", read)


def also(kind: FieldType, look: Look) -> FieldType:
    """A value of this kind that is looked at once more."""

    def read(value: Any, loc: str, errors: Errors) -> Any:
        known = len(errors)
        taken = kind.read(value, loc, errors)
        if len(errors) == known:
            _look(look, taken, value, loc, errors)
        return taken

    return FieldType(kind.name, read, kind.null)


def _look(look: Look, taken: Any, given: Any, loc: str, errors: Errors) -> None:
    why = look(taken)
    if why is not None:
        wrong(errors, "value_error", loc, f"Value error, {why}", given, error=ValueError(why))


def any_of(*kinds: FieldType) -> FieldType:
    """Of a value that is none of them each says why."""

    def read(value: Any, loc: str, errors: Errors) -> Any:
        told: Errors = []
        for kind in kinds:
            found: Errors = []
            taken = kind.read(value, loc, found)
            if not found:
                return taken
            told += found
        errors += told
        return value

    return FieldType("|".join(kind.name for kind in kinds), read)


def tagged(**kinds: FieldType) -> FieldType:
    """By the value of `type`, which stands in the place of what is wrong inside."""
    expected = ", ".join(f"'{tag}'" for tag in kinds)

    def read(value: Any, loc: str, errors: Errors) -> Any:
        if not isinstance(value, dict):
            return OBJECT.read(value, loc, errors)
        tag = value.get("type")
        if "type" not in value:
            msg = "Unable to extract tag using discriminator 'type'"
            wrong(errors, "union_tag_not_found", loc, msg, value, discriminator="'type'")
            return value
        if not isinstance(tag, str) or tag not in kinds:
            msg = f"Input tag '{tag}' found using 'type' does not match any of the expected tags: {expected}"
            wrong(errors, "union_tag_invalid", loc, msg, value, discriminator="'type'", tag=str(tag), expected_tags=expected)  # fmt: skip  # noqa: E501
            return value
        return kinds[tag].read(value, f"{loc}.{tag}", errors)

    return FieldType("tagged", read)


def at_most(kind: FieldType, most: int) -> FieldType:
    """A list that is no longer."""

    def read(value: Any, loc: str, errors: Errors) -> Any:
        if isinstance(value, list) and len(value) > most:
            msg = f"List should have at most {most} item{'' if most == 1 else 's'} after validation, not {len(value)}"
            wrong(errors, "too_long", loc, msg, value, field_type="List", max_length=most, actual_length=len(value))
            return value
        return LIST.read(value, loc, errors) if not isinstance(value, list) else kind.read(value, loc, errors)

    return FieldType(kind.name, read, kind.null)


def of_length(kind: FieldType, least: int, most: int) -> FieldType:
    """A text no shorter and no longer."""

    def read(value: Any, loc: str, errors: Errors) -> Any:
        known = len(errors)
        taken = kind.read(value, loc, errors)
        if len(errors) > known:
            return taken
        if len(taken) < least:
            msg = f"String should have at least {least} character{'' if least == 1 else 's'}"
            wrong(errors, "string_too_short", loc, msg, value, min_length=least)
        elif len(taken) > most:
            msg = f"String should have at most {most} characters"
            wrong(errors, "string_too_long", loc, msg, value, max_length=most)
        return taken

    return FieldType(kind.name, read, kind.null)
