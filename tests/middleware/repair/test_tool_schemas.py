"""Tool definitions that vLLM serves and SGLang refuses are repaired at any depth; those in order are left alone."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from middleware.fields.chat import CHAT
from middleware.fields.edit import Editor
from middleware.repair.tool_schemas import repair_function
from tests.middleware.fields.serving import bound

EMPTY = {"type": "object", "properties": {}}


def nested(schema: Any) -> list[Any]:
    """The same schema in every place where one may stand."""
    return [
        schema,
        {"properties": {"a": schema}},
        {"items": schema},
        {"items": [schema, {"type": "string"}]},
        {"prefixItems": [schema]},
        {"anyOf": [{"type": "null"}, schema]},
        {"oneOf": [schema]},
        {"allOf": [schema]},
        {"$defs": {"A": schema}},
        {"definitions": {"A": schema}},
        {"patternProperties": {"^a": schema}},
        {"dependentSchemas": {"a": schema}},
        {"additionalProperties": schema},
        {"not": schema},
        {"if": schema, "then": schema, "else": schema},
        {"contains": schema},
        {"properties": {"a": {"items": {"anyOf": [{"$defs": {"B": {"additionalProperties": schema}}}]}}}},
    ]


BROKEN_AND_REPAIRED = [
    ({"properties": []}, {"properties": {}}),
    ({"properties": None}, {"properties": {}}),
    ({"properties": "x"}, {"properties": {}}),
    ({"properties": {"a": []}}, {"properties": {"a": {}}}),
    ({"properties": {"a": None}}, {"properties": {"a": {}}}),
    ({"required": True}, {}),
    ({"required": "name"}, {}),
    ({"required": None}, {}),
    ({"required": {}}, {}),
    ({"required": ["a", None, 3, "b", "a"]}, {"required": ["a", "b"]}),
]


@pytest.mark.parametrize("place", range(len(nested({}))))
@pytest.mark.parametrize(("broken", "repaired"), BROKEN_AND_REPAIRED)
def test_a_broken_schema_is_repaired_wherever_it_stands(broken: Any, repaired: Any, place: int) -> None:
    function = {"name": "f", "parameters": copy.deepcopy(nested(broken)[place])}
    assert repair_function(function)
    assert function["parameters"] == nested(repaired)[place]


@pytest.mark.parametrize("parameters", [[], "", "x", 5, True, False])
def test_parameters_that_are_no_object_become_an_empty_one(parameters: Any) -> None:
    function = {"name": "f", "parameters": parameters}
    assert repair_function(function)
    assert function == {"name": "f", "parameters": EMPTY}


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {},
        EMPTY,
        {"type": "object", "properties": {"a": True, "b": {"type": ["string", "null"]}}, "required": ["a"]},
        # Names of properties, not keywords.
        {"properties": {"properties": {"type": "array"}, "required": {"type": "boolean"}}, "required": ["required"]},
        # Data, not schemas.
        {"properties": {"a": {"default": {"required": True}, "enum": [{"properties": []}], "const": {"required": 1}}}},
        {"properties": {"a": {"examples": [{"required": "x", "properties": []}]}}},
        {"required": []},
        {"additionalProperties": False, "items": True, "anyOf": [True]},
        {"type": "nonsense"},
    ],
)
def test_what_is_in_order_is_left_alone(parameters: Any) -> None:
    function = {"name": "f", "parameters": parameters}
    before = copy.deepcopy(function)
    assert not repair_function(function)
    assert function == before


def test_only_the_tools_of_a_request_are_written_anew() -> None:
    body = (
        b'{"messages": [ {"role":"user","content":"a"} ],"tools":[{"type":"function","function":'
        b'{"name":"f","parameters":{"properties":[],"type":"object"}}}]}'
    )
    edited = Editor(bound(CHAT), frozenset())(body)
    assert edited.startswith(b'{"messages":[ {"role":"user","content":"a"} ],"tools":[')
    assert json.loads(edited)["tools"][0]["function"]["parameters"] == {"properties": {}, "type": "object"}


def test_tools_that_are_in_order_keep_their_bytes() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": EMPTY}}]
    body = json.dumps({"messages": [{"role": "user", "content": "a"}], "tools": tools}, indent=2).encode()
    assert Editor(bound(CHAT), frozenset())(body) is body


def test_depth_is_no_reason_to_fail() -> None:
    schema: dict[str, Any] = {"properties": []}
    for _ in range(20_000):
        schema = {"items": schema}
    assert repair_function({"name": "f", "parameters": schema})
    while schema:  # Take it apart: to free it in one go would recurse.
        schema = schema.pop("items", {})
