"""Structured output: every way a vLLM client may ask for it becomes one of SGLang's constraints, or 400.
Converters and checks for the tables of chat and completions; SGLang ignores all of these names in silence.
"""

from typing import Any, NoReturn

import msgspec

from middleware.errors import bad_request
from middleware.fields.draft import Draft
from middleware.fields.params import no_kind, several_kinds
from middleware.fields.record import Converter

# What a regular expression gives a meaning to. re.escape would also escape blanks and the like, which Rust's
# regular expressions (llguidance) refuse and xgrammar 0.2.7 warns about for each token.
_REGEX_META = frozenset("\\.^$*+?{}[]|()")

# The kinds of vLLM's StructuredOutputsParams, and the options beside them.
KINDS = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")
# Of these vLLM takes one, whatever the others are.
_ALONE = frozenset({"json", "regex", "choice"})
_UNENFORCEABLE = {
    "disable_any_whitespace": "SGLang sets the whitespace of JSON for the whole server and not by request",
    "disable_additional_properties": "write additionalProperties: false into the schema instead",
    "whitespace_pattern": "SGLang sets the whitespace of JSON for the whole server and not by request",
}

# The fields of SGLang that constrain the output; it takes one of them.
CONSTRAINTS = ("response_format", "regex", "ebnf", "json_schema")

_TWO_KINDS = "You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice')."


def guided(kind: str) -> Converter:
    return lambda draft, name: _constrain(draft, kind, _take(draft, name), name)


def structural_tag(draft: Draft, name: str) -> None:
    tag = _object(_take(draft, name) or {}, name)
    if tag:
        _constrain(draft, "structural_tag", tag, name)


def guided_whitespace_pattern(draft: Draft, name: str) -> None:
    pattern = _take(draft, name)
    if pattern is not None and draft.given("response_format"):
        _unenforceable(name, _UNENFORCEABLE["whitespace_pattern"])


def structured_outputs(draft: Draft, name: str) -> None:
    given = _take(draft, name)
    if given is None:
        return
    if not isinstance(given, dict):
        raise bad_request(f"{name} must be an object.", name)
    for option, why in _UNENFORCEABLE.items():
        if given.get(option):
            _unenforceable(f"{name}.{option}", why)
    kinds = [kind for kind in KINDS if given.get(kind) is not None]
    if not kinds:
        raise no_kind(given)
    if len(_ALONE.intersection(kinds)) > 1:
        raise bad_request(_TWO_KINDS)
    if kinds[0] in _ALONE and isinstance(draft.value("tool_choice"), dict):
        raise bad_request("You can only either use constraints for structured outputs or tools, not both.")
    also = _asked_by_format(draft)
    if len(kinds) > 1 or also:
        raise several_kinds({**given, **also})
    if given.get("json_object") is False:
        raise bad_request(f"{name}.json_object must be True if set; omit {name} to disable structured outputs", name)
    _constrain(draft, kinds[0], given[kinds[0]], f"{name}.{kinds[0]}")


def _asked_by_format(draft: Draft) -> dict[str, Any]:
    """What response_format asks for, as vLLM's object has it."""
    given = draft.value("response_format") if "response_format" in draft.fields else None
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "json_object":
        return {"json_object": True}
    if kind == "json_schema":
        return {"json": (given or {}).get("json_schema", {}).get("schema")}
    return {"structural_tag": msgspec.json.encode(given).decode()} if kind == "structural_tag" else {}


def one_constraint(draft: Draft) -> None:
    """SGLang takes one constraint; vLLM says so in these words."""
    given = [name for name in CONSTRAINTS if draft.given(name)]
    if "response_format" in given and len(given) > 1 and _is_text(draft):
        given.remove("response_format")
    if len(given) > 1:
        raise bad_request(
            "You can only use one kind of structured outputs constraint but multiple are specified: "
            f"{', '.join(given)}."
        )


def _constrain(draft: Draft, kind: str, value: Any, name: str) -> None:
    """Puts in what SGLang calls it; null says nothing."""
    if value is None:
        return
    match kind:
        case "json":
            schema = {"name": "schema", "schema": _object(value, name)}
            _response_format(draft, {"type": "json_schema", "json_schema": schema})
        case "json_object":
            _response_format(draft, {"type": "json_object"})
        case "structural_tag":
            tag = _object(value, name)
            if tag.get("type") != "structural_tag":
                raise bad_request(f'{name} must be an object with "type": "structural_tag".', name)
            _response_format(draft, tag)
        case "regex":
            _put(draft, "regex", _string(value, name))
        case "choice":
            _put(draft, "regex", one_of(_choices(value, name)))
        case _:
            _put(draft, "ebnf", _gbnf(_string(value, name), name))


def one_of(choices: list[str]) -> str:
    """A regular expression that matches these strings and no others."""
    escaped = ("".join(f"\\{char}" if char in _REGEX_META else char for char in choice) for choice in choices)
    return f"({'|'.join(escaped)})"


def _take(draft: Draft, name: str) -> Any:
    value = draft.value(name)
    draft.drop(name)
    return value


def _response_format(draft: Draft, value: dict[str, Any]) -> None:
    if draft.given("response_format") and not _is_text(draft):
        raise bad_request(
            "You can only use one kind of structured outputs constraint but multiple are specified: "
            "response_format and another one."
        )
    draft.replace("response_format", value)


def _put(draft: Draft, target: str, value: str) -> None:
    if draft.given(target):
        raise bad_request(_TWO_KINDS)
    draft.replace(target, value)


def _is_text(draft: Draft) -> bool:
    given = draft.value("response_format")
    return isinstance(given, dict) and given.get("type") == "text"


def _object(value: Any, name: str) -> dict[str, Any]:
    """vLLM takes a schema as an object or as a string that holds one."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError):
            raise bad_request(f"{name} is a string that is not valid JSON.", name) from None
    if not isinstance(value, dict):
        raise bad_request(f"{name} must be a JSON object, or a string that holds one.", name)
    return value


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise bad_request(f"{name} must be a string that is not empty.", name)
    return value


def _choices(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(choice, str) for choice in value):
        raise bad_request(f"{name} must be a list of strings.", name)
    if not value:
        raise bad_request("Choice '[]' cannot be an empty list", None)
    return value


def _gbnf(grammar: str, name: str) -> str:
    if "::=" not in grammar:
        why = "a grammar must be written in GBNF (root ::= ...); Lark is vLLM's alone"
        raise bad_request(f"{name} cannot be enforced: {why}.")
    return grammar


def _unenforceable(name: str, why: str) -> NoReturn:
    raise bad_request(f"{name} cannot be enforced: {why}.", name)
