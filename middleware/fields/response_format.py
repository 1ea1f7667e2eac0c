"""`response_format`: the same in both, except for what vLLM asks of it first and what it does beside tools.
Checks and a repair of the tables of chat and completions; the other ways to ask are in `fields.structured`.
"""

from typing import Any

from middleware.errors import bad_value
from middleware.fields.draft import Draft
from middleware.fields.kinds import BOOL, DICT, OBJECT, STR, Errors, FieldType, wrong
from middleware.fields.params import no_kind
from middleware.fields.structured import CONSTRAINTS
from middleware.fields.typed import first

_PLAIN = ("text", "json_object", "json_schema")


def schema_given(draft: Draft, name: str) -> None:
    """Before its kind is looked at."""
    given = draft.value(name)
    if not isinstance(given, dict):
        return
    kind = given.get("type")
    if kind == "json_schema" and given.get("json_schema") is None:
        raise bad_value(f"When {name} type is 'json_schema', the 'json_schema' field must be provided.", name)
    if kind == "structural_tag" and not _is_tag(given):
        raise bad_value(f"Invalid {name} structural_tag specification.", name)


def _is_tag(given: dict[str, Any]) -> bool:
    if "format" in given:
        return True
    return isinstance(given.get("structures"), list) and isinstance(given.get("triggers"), list)


def _format(value: Any, loc: str, errors: Errors) -> Any:
    """One of three forms: each says why the value is not of it."""
    if not isinstance(value, dict):
        for _ in range(3):
            OBJECT.read(value, loc, errors)
        return value
    if value.get("type") == "structural_tag":
        return value
    found: Errors = []
    _plain(value, loc, found)
    if found:
        tag = "'structural_tag'"
        errors += found
        for needed in (("format",), ("structures", "triggers")):
            _literal(value, loc, f"Input should be {tag}", tag, errors)
            for name in needed:
                if name not in value:
                    wrong(errors, "missing", f"{loc}.{name}", "Field required", value)
    return value


def _literal(value: dict[str, Any], loc: str, msg: str, expected: str, errors: Errors) -> None:
    if "type" in value:
        wrong(errors, "literal_error", f"{loc}.type", msg, value["type"], expected=expected)
    else:
        wrong(errors, "missing", f"{loc}.type", "Field required", value)


def _plain(value: dict[str, Any], loc: str, errors: Errors) -> None:
    if value.get("type") not in _PLAIN:
        expected = "'text', 'json_object' or 'json_schema'"
        _literal(value, loc, f"Input should be {expected}", expected, errors)
    schema = value.get("json_schema")
    if schema is None:
        return
    at = f"{loc}.json_schema"
    if not isinstance(schema, dict):
        OBJECT.read(schema, at, errors)
        return
    if "name" in schema:
        STR.read(schema["name"], f"{at}.name", errors)
    else:
        wrong(errors, "missing", f"{at}.name", "Field required", schema)
    for name, kind in (("description", STR), ("schema", DICT), ("strict", BOOL)):
        if schema.get(name) is not None:
            kind.read(schema[name], f"{at}.{name}", errors)


FORMAT = FieldType("response format", _format)


def settled(draft: Draft, name: str, given: Any) -> None:
    """A schema must be there; `strict` must be a JSON boolean to SGLang."""
    if given["type"] != "json_schema":
        return
    schema = given["json_schema"]
    if schema.get("schema") is None:
        raise no_kind({})
    strict = schema.get("strict")
    if strict is not None and not isinstance(strict, bool):
        schema = {**schema, "strict": BOOL.read(strict, name, [])}
        draft.replace(name, {**given, "json_schema": schema})


def tools_win(draft: Draft) -> None:
    """Where a call is required vLLM holds the output to the call alone; SGLang 0.5.23 answers 400 to both."""
    choice = draft.value("tool_choice") if "tool_choice" in draft.fields else None
    if choice != "required" and not isinstance(choice, dict):
        return
    for name in CONSTRAINTS:
        if name in draft.fields:
            draft.drop(name)


RECORD = first("response_format", FORMAT, schema_given, "the same", then=settled)
