"""Structured output is never lost in silence: it becomes SGLang's constraint, or 400."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.record import Table
from middleware.fields.structured import one_of
from tests.middleware.fields.editing import edit, error

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
AS_JSON_SCHEMA = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "schema", "schema": SCHEMA}},
}
GBNF = 'root ::= "yes" | "no"'
TAG = {"type": "structural_tag", "format": {"type": "json_schema", "json_schema": SCHEMA}}


@pytest.mark.parametrize("table", [CHAT, COMPLETIONS], ids=["chat", "completions"])
@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        pytest.param({"guided_json": SCHEMA}, AS_JSON_SCHEMA, id="guided_json"),
        pytest.param({"guided_json": json.dumps(SCHEMA)}, AS_JSON_SCHEMA, id="guided_json as a string"),
        pytest.param({"guided_regex": "[0-9]{3}"}, {"regex": "[0-9]{3}"}, id="guided_regex"),
        pytest.param({"guided_choice": ["a.b", "c|d"]}, {"regex": r"(a\.b|c\|d)"}, id="guided_choice"),
        pytest.param({"guided_grammar": GBNF}, {"ebnf": GBNF}, id="guided_grammar"),
        pytest.param({"structured_outputs": {"json": SCHEMA}}, AS_JSON_SCHEMA, id="json"),
        pytest.param({"structured_outputs": {"json": json.dumps(SCHEMA)}}, AS_JSON_SCHEMA, id="json as a string"),
        pytest.param({"structured_outputs": {"regex": "a+"}}, {"regex": "a+"}, id="regex"),
        pytest.param({"structured_outputs": {"choice": ["yes", "no"]}}, {"regex": "(yes|no)"}, id="choice"),
        pytest.param({"structured_outputs": {"grammar": GBNF}}, {"ebnf": GBNF}, id="grammar"),
        pytest.param(
            {"structured_outputs": {"json_object": True}},
            {"response_format": {"type": "json_object"}},
            id="json_object",
        ),
        pytest.param({"structured_outputs": {"structural_tag": json.dumps(TAG)}}, {"response_format": TAG}, id="tag"),
        pytest.param({"structured_outputs": {"regex": "a", "json": None}}, {"regex": "a"}, id="nulls beside it"),
        pytest.param(
            {"structured_outputs": {"regex": "a", "_backend": "outlines"}}, {"regex": "a"}, id="the backend is ours"
        ),
        pytest.param({"structured_outputs": None}, {}, id="null asks for nothing"),
        pytest.param({"guided_json": None, "guided_regex": None}, {}, id="nulls ask for nothing"),
        pytest.param({"guided_regex": "a", "guided_decoding_backend": "xgrammar"}, {"regex": "a"}, id="guided backend"),
        pytest.param(
            {"guided_regex": "a", "guided_whitespace_pattern": " "}, {"regex": "a"}, id="whitespace of nothing"
        ),
        pytest.param(
            {"guided_json": SCHEMA, "response_format": {"type": "text"}}, AS_JSON_SCHEMA, id="text is no constraint"
        ),
        pytest.param(
            {"guided_regex": "a", "response_format": {"type": "text"}},
            {"regex": "a", "response_format": {"type": "text"}},
            id="text beside a regex",
        ),
        pytest.param({"guided_regex": "a", "response_format": None, "regex": None}, None, id="nulls are no conflict"),
    ],
)
def test_it_becomes_what_sglang_calls_it(table: Table, asked: dict[str, Any], sent: dict[str, Any] | None) -> None:
    edited = edit(table, {"model": "m", **asked})
    if sent is None:
        assert edited["regex"] == "a"
    else:
        assert edited == {"model": "m", **sent}


@pytest.mark.parametrize("table", [CHAT, COMPLETIONS], ids=["chat", "completions"])
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"structured_outputs": {}}, "none are specified"),
        ({"structured_outputs": {"nope": 1}}, "none are specified"),
        ({"structured_outputs": {"json_object": False}}, "json_object must be True if set"),
        ({"structured_outputs": "x"}, "must be an object"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "only use one kind"),
        ({"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}}, "'json_object': True"),
        ({"structured_outputs": {"json": SCHEMA}, "response_format": {"type": "json_object"}}, "only use one kind"),
        ({"structured_outputs": {"regex": "a"}, "guided_grammar": GBNF}, "only use one kind"),
        ({"guided_regex": "a", "guided_choice": ["b"]}, "only use one kind"),
        ({"guided_regex": "a", "regex": "b"}, "only use one kind"),
        ({"guided_json": SCHEMA, "ebnf": GBNF}, "only use one kind"),
        ({"structured_outputs": {"choice": []}}, "cannot be an empty list"),
        ({"guided_choice": "yes"}, "must be a list of strings"),
        ({"guided_choice": ["yes", 1]}, "must be a list of strings"),
        ({"guided_json": "{"}, "not valid JSON"),
        ({"guided_json": "[1]"}, "must be a JSON object"),
        ({"guided_json": True}, "must be a JSON object"),
        ({"guided_regex": ["a"]}, "must be a string"),
        ({"guided_regex": ""}, "must be a string"),
        ({"guided_grammar": 'start: "yes" | "no"'}, "GBNF"),
        ({"structured_outputs": {"grammar": 'start: "yes"'}}, "cannot be enforced"),
        ({"structured_outputs": {"structural_tag": "{}"}}, "structural_tag"),
        ({"structured_outputs": {"json": SCHEMA, "whitespace_pattern": " "}}, "cannot be enforced"),
        ({"structured_outputs": {"json": SCHEMA, "disable_any_whitespace": True}}, "cannot be enforced"),
        ({"structured_outputs": {"json": SCHEMA, "disable_additional_properties": True}}, "cannot be enforced"),
        ({"guided_json": SCHEMA, "guided_whitespace_pattern": " "}, "cannot be enforced"),
    ],
)
def test_what_cannot_be_enforced_is_400_with_a_sentence(table: Table, asked: dict[str, Any], words: str) -> None:
    told = error(table, {"model": "m", **asked})
    assert words in told["message"]
    assert told["type"] == "BadRequestError"


@pytest.mark.parametrize(
    "choice", ["a", "a b", "1.5*[x]{2}", "^$|()", "back\\slash", "two\nlines", "é 漢", 'quo"te', ""]
)
def test_choices_match_themselves_and_nothing_else(choice: str) -> None:
    pattern = one_of([choice, "other"])
    assert re.fullmatch(pattern, choice)
    assert re.fullmatch(pattern, "other")
    assert not re.fullmatch(pattern, choice + "!")
