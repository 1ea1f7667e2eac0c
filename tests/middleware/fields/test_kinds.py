"""Kinds read as pydantic does, which reads for vLLM: what it takes is taken, and what it says of the rest is said."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, ValidationError

from middleware.fields.kinds import (
    BOOL,
    DICT,
    FLOAT,
    INT,
    STR,
    Errors,
    FieldType,
    bounded,
    dict_of,
    list_of,
    one_of,
    schema_error,
    shown,
)

PAIRS: list[tuple[FieldType, Any]] = [
    (INT, int),
    (FLOAT, float),
    (BOOL, bool),
    (STR, str),
    (DICT, dict[str, Any]),
    (list_of(INT), list[int]),
    (list_of(STR), list[str]),
    (list_of(list_of(INT)), list[list[int]]),
    (dict_of(FLOAT), dict[str, float]),
    (bounded(INT, ge=-1, le=5), Annotated[int, Field(ge=-1, le=5)]),
    (one_of("left", "right"), Literal["left", "right"]),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-10, 10)
    | st.floats(-10, 10)
    | st.sampled_from(["", "x", "1", " 5 ", "5.0", "5.5", "+3", "-2", "1_000", "true", "No", "ON", "y", "left", "0.5"])
)
VALUES: st.SearchStrategy[Any] = SCALARS | st.lists(SCALARS | st.lists(SCALARS, max_size=2), max_size=3)
VALUES |= st.dictionaries(st.sampled_from(["a", "b"]), SCALARS, max_size=2)


def pydantics(of: Any, value: Any) -> tuple[Any, list[tuple[str, str, str]]]:
    try:
        return TypeAdapter(of).validate_python(value), []
    except ValidationError as failure:
        return None, [(e["type"], ".".join(map(str, e["loc"])), e["msg"]) for e in failure.errors()]


@pytest.mark.parametrize(("kind", "of"), PAIRS, ids=[kind.name for kind, _ in PAIRS])
@settings(max_examples=150, deadline=None)
@given(value=VALUES)
def test_a_kind_reads_as_pydantic_does(kind: FieldType, of: Any, value: Any) -> None:
    expected, faults = pydantics(of, value)
    errors: Errors = []
    read = kind.read(value, "", errors)
    assert [(e["type"], str(e["loc"]).lstrip("."), e["msg"]) for e in errors] == faults
    if not faults:
        assert read == expected


def test_the_same_object_where_nothing_had_to_be_changed() -> None:
    for kind, value in ((list_of(INT), [1, 2]), (dict_of(FLOAT), {"a": 0.5}), (STR, "a"), (INT, 5)):
        assert kind.read(value, "", []) is value


def test_no_more_than_ten_errors_are_told() -> None:
    errors: Errors = []
    list_of(INT).read(["x"] * 12, "body.a", errors)
    message = json.loads(bytes(schema_error(errors).response.body))["error"]["message"]
    assert message.startswith("12 validation errors:\n")
    assert message.endswith("\n  ...and 2 more errors")
    assert message.count("int_parsing") == 10


def test_what_a_client_sent_is_not_shown_whole() -> None:
    assert shown("x" * 1000) == "x" * 200 + "...[truncated]"
    assert shown(["x" * 1000]) == "<list of 1 items>"
