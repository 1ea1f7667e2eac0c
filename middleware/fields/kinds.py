"""What a field's value must be, read as pydantic reads it for vLLM: "5" is a number, 1 is true, and what is wrong is
told in vLLM's words. One kind a record of the tables, through `fields.typed`.
"""

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from middleware.errors import SCHEMA_TYPE, Refused, error

Errors = list[dict[str, object]]
# The value as vLLM reads it (the very same object where nothing had to be changed), and what is wrong with it.
Reader = Callable[[Any, str, Errors], Any]

# vLLM's bounds for what it tells of a request.
REPORTED_ERRORS = 10
SHOWN_INPUT = 200
SHOWN_ERROR = 1000

_INTEGER = re.compile(r"[+-]?\d+(?:_\d+)*(?:\.0*)?")
_WORDS = {
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "off", "f", "false", "n", "no"), False),
}
INT64 = 2**63
LARGEST_FLOAT = int(sys.float_info.max)


@dataclass(frozen=True, slots=True)
class FieldType:
    name: str
    read: Reader
    null: bool = True  # Whether null is the same as nothing.
    # Values of exactly this type are right as they are.
    exact: type | None = None


def never_null(kind: FieldType) -> FieldType:
    return replace(kind, null=False)


def shown(value: object) -> str:
    """What a client sent, in what it is told about it."""
    if isinstance(value, list | dict):
        return f"<{type(value).__name__} of {len(value)} items>"
    text = str(value)
    return text if len(text) <= SHOWN_INPUT else f"{text[:SHOWN_INPUT]}...[truncated]"


def wrong(errors: Errors, kind: str, loc: str, msg: str, value: object, **ctx: object) -> None:
    detail: dict[str, object] = {"type": kind, "loc": loc, "msg": msg, "input": shown(value)}
    errors.append({**detail, "ctx": ctx} if ctx else detail)


def sentence(found: int, errors: Sequence[Mapping[str, object]]) -> str:
    """vLLM's, of so many errors of which these are known."""
    label = "error" if found == 1 else "errors"
    lines = [f"{found} validation {label}:", *(f"  {_cut(repr(detail))}" for detail in errors[:REPORTED_ERRORS])]
    if found > REPORTED_ERRORS:
        lines.append(f"  ...and {found - REPORTED_ERRORS} more {label}")
    return "\n".join(lines)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_ERROR else f"{text[:SHOWN_ERROR]}...[truncated]"


def schema_error(errors: Errors) -> Refused:
    """Each error names its `loc`."""
    return Refused(error(400, sentence(len(errors), errors), param=str(errors[0]["loc"]), kind=SCHEMA_TYPE))


def missing(names: Sequence[str], given: int) -> Refused:
    request = f"<dict of {given} items>"
    return schema_error(
        [{"type": "missing", "loc": f"body.{name}", "msg": "Field required", "input": request} for name in names]
    )


def _int(value: Any, loc: str, errors: Errors) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not value.is_integer():
            msg = "Input should be a valid integer, got a number with a fractional part"
            wrong(errors, "int_from_float", loc, msg, value)
        return value  # 5.0 is SGLang's to read.
    if isinstance(value, str):
        if _INTEGER.fullmatch(value.strip()):
            return int(value.strip().partition(".")[0])
        msg = "Input should be a valid integer, unable to parse string as an integer"
        wrong(errors, "int_parsing", loc, msg, value)
        return value
    wrong(errors, "int_type", loc, "Input should be a valid integer", value)
    return value


def _float(value: Any, loc: str, errors: Errors) -> Any:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int) and abs(value) > LARGEST_FLOAT:
        return math.inf if value > 0 else -math.inf
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        try:
            return float(value.strip())
        except ValueError:
            msg = "Input should be a valid number, unable to parse string as a number"
            wrong(errors, "float_parsing", loc, msg, value)
        return value
    wrong(errors, "float_type", loc, "Input should be a valid number", value)
    return value


def _bool(value: Any, loc: str, errors: Errors) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if isinstance(value, int | str) or (isinstance(value, float) and value.is_integer()):
        msg = "Input should be a valid boolean, unable to interpret input"
        wrong(errors, "bool_parsing", loc, msg, value)
    else:
        wrong(errors, "bool_type", loc, "Input should be a valid boolean", value)
    return value


def _instance(of: type, kind: str, words: str) -> Reader:
    def read(value: Any, loc: str, errors: Errors) -> Any:
        if not isinstance(value, of):
            wrong(errors, kind, loc, f"Input should be a valid {words}", value)
        return value

    return read


def _any(value: Any, loc: str, errors: Errors) -> Any:
    return value


ANY = FieldType("any", _any)
INT = FieldType("int", _int, exact=int)
FLOAT = FieldType("float", _float, exact=float)
BOOL = FieldType("bool", _bool, exact=bool)
STR = FieldType("str", _instance(str, "string_type", "string"), exact=str)
LIST = FieldType("list", _instance(list, "list_type", "list"))
DICT = FieldType("dict", _instance(dict, "dict_type", "dictionary"))
# Where pydantic has a model of its own for it.
OBJECT = FieldType("object", _instance(dict, "model_attributes_type", "dictionary or object to extract fields from"))


def bounded(kind: FieldType, ge: int | None = None, le: int | None = None) -> FieldType:
    def read(value: Any, loc: str, errors: Errors) -> Any:
        known = len(errors)
        taken = kind.read(value, loc, errors)
        if len(errors) > known:
            return taken
        if ge is not None and taken < ge:
            wrong(errors, "greater_than_equal", loc, f"Input should be greater than or equal to {ge}", value, ge=ge)
        elif le is not None and taken > le:
            wrong(errors, "less_than_equal", loc, f"Input should be less than or equal to {le}", value, le=le)
        return taken

    return FieldType(kind.name, read, kind.null)


def one_of(*words: str) -> FieldType:
    quoted = [f"'{word}'" for word in words]
    expected = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"

    def read(value: Any, loc: str, errors: Errors) -> Any:
        if not isinstance(value, str) or value not in words:
            wrong(errors, "literal_error", loc, f"Input should be {expected}", value, expected=expected)
        return value

    return FieldType("literal", read)


def list_of(kind: FieldType) -> FieldType:
    def read(value: Any, loc: str, errors: Errors) -> Any:
        if not isinstance(LIST.read(value, loc, errors), list):
            return value
        items = [kind.read(item, f"{loc}.{place}", errors) for place, item in enumerate(value)]
        return value if all(map(_same, items, value)) else items

    return FieldType(f"list[{kind.name}]", read)


def dict_of(kind: FieldType) -> FieldType:
    def read(value: Any, loc: str, errors: Errors) -> Any:
        if not isinstance(DICT.read(value, loc, errors), dict):
            return value
        items = {key: kind.read(item, f"{loc}.{key}", errors) for key, item in value.items()}
        return value if all(map(_same, items.values(), value.values())) else items

    return FieldType(f"dict[{kind.name}]", read)


def _same(one: object, other: object) -> bool:
    return one is other
