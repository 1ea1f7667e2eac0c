"""SGLang's account of a request that does not fit its schema, retold as vLLM's: dotted places, inputs only named.
Called by `errors`; SGLang 0.5.23 sends Python's repr of pydantic's errors, with what the client sent and a file's path.
"""

import ast
import re
from typing import Any

from middleware.dialect.scrub import scrubbed
from middleware.fields.kinds import sentence, shown

_FOUND = re.compile(r"(\d+) validation errors?:")
_STRING = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_ENTRY = re.compile(
    rf"\{{'type': (?P<type>{_STRING}), 'loc': (?P<loc>\((?:(?:{_STRING}|\d+)(?:, )?)*,?\)), 'msg': (?P<msg>{_STRING})"
)
# Longer entries hold what the client sent; they are not worth a parser's time.
PARSED_CHARACTERS = 16 * 1024
ENTRIES = 20
# The names that pydantic gives to the branches of a union: classes, validators, types.
_BRANCH = re.compile(r"[A-Z].*|.*[\[(].*|str|int|float|bool|list|dict|none", re.DOTALL)


def is_dump(message: str) -> bool:
    return _FOUND.match(message) is not None


def retold(message: str) -> tuple[str, str | None]:
    """vLLM's message, and its `param`: the place of the first."""
    found = _FOUND.match(message)
    assert found is not None
    entries: list[dict[str, Any]] = []
    for raw in message[found.end() :].partition("\n\n")[0].split("\n")[1 : ENTRIES + 1]:
        entry = _entry(raw.strip())
        if entry is not None:
            entries.append(entry)
    return _told(int(found[1]), entries)


def from_details(details: Any) -> tuple[str, str | None] | None:
    """FastAPI's own list of the same, which is no text."""
    if not isinstance(details, list) or not details or not all(isinstance(entry, dict) for entry in details):
        return None
    entries = [
        {
            "type": str(entry.get("type")),
            "loc": ".".join(_place(tuple(entry.get("loc") or ()))),
            "msg": scrubbed(str(entry.get("msg"))),
        }
        for entry in details[:ENTRIES]
    ]
    return _told(len(details), entries)


def _told(number: int, entries: list[dict[str, Any]]) -> tuple[str, str | None]:
    return sentence(number, entries), entries[0]["loc"] if entries else None


def _entry(raw: str) -> dict[str, Any] | None:
    found = _ENTRY.match(raw[:PARSED_CHARACTERS])
    if found is None:
        return None
    try:
        kind, loc, msg = (ast.literal_eval(found[name]) for name in ("type", "loc", "msg"))
    except (SyntaxError, ValueError):
        return None
    entry = {"type": kind, "loc": ".".join(_place(loc)), "msg": scrubbed(msg)}
    if len(raw) > PARSED_CHARACTERS:
        return entry
    try:
        values = _values(ast.parse(raw, mode="eval").body)
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        return entry
    if "input" in values:
        entry["input"] = shown(values["input"])
    if "ctx" in values:
        entry["ctx"] = values["ctx"]
    return entry


def _place(loc: tuple[str | int, ...]) -> list[str]:
    return [str(part) for place, part in enumerate(loc) if not (place and isinstance(part, str) and _is_branch(part))]


def _is_branch(part: str) -> bool:
    return _BRANCH.fullmatch(part) is not None


class _Call:
    """ValueError('...'), which stands in SGLang's repr and in vLLM's."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __repr__(self) -> str:
        return self.source


def _values(node: ast.expr) -> dict[str, Any]:
    """The literals of an entry; whatever is a call is kept as it was written."""
    if not isinstance(node, ast.Dict):
        return {}
    values: dict[str, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            values[key.value] = _values(value) if key.value == "ctx" else _value(value)
    return values


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        return _Call(scrubbed(ast.unparse(node)))
    return ast.literal_eval(node)
