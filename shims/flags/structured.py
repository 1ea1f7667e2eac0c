"""Answers held to a JSON schema, a regular expression or a grammar: --structured-outputs-config, and the flags
--guided-decoding-... of 0.8 to 0.11. `values.grammars` has the names of the back ends.
"""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, invalid, refused
from shims.flags.tools import PLUGIN, reasoning_parser
from shims.values.grammars import GRAMMAR_BACKEND

BACKEND = "--grammar-backend"
NO_WHITESPACE = "--constrained-json-disable-any-whitespace"
ADDITIONAL = "SGLang cannot forbid additional properties for all schemas; say additionalProperties in the schemas"
KEYS: dict[str, type] = {
    "backend": str,
    "disable_any_whitespace": bool,
    "disable_additional_properties": bool,
    "disable_fallback": bool,  # until 0.11; SGLang has one back end and never falls back
    "reasoning_parser": str,
    "reasoning_parser_plugin": str,
    "enable_in_reasoning": bool,
}
NO = ("false", "0", "no", "")


def config(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"backend": "xgrammar"}')
    settings = {key: setting for key, setting in value.items() if setting is not None}
    if odd := [key for key in settings if key not in KEYS]:
        return invalid(f"it has no '{odd[0]}'; it has {', '.join(KEYS)}")
    if odd := [key for key, setting in settings.items() if not isinstance(setting, KEYS[key])]:
        return invalid(f"its {odd[0]} is {settings[odd[0]]!r:.60}: give a {KEYS[odd[0]].__name__}")
    if settings.get("disable_additional_properties"):
        return refused(ADDITIONAL)
    if settings.get("enable_in_reasoning"):
        return refused("SGLang holds an answer to its schema after the reasoning only; leave enable_in_reasoning out")
    if settings.get("reasoning_parser_plugin"):
        return refused(f"reasoning_parser_plugin: {PLUGIN}")
    parts = [backend(draft, settings.get("backend", "auto"))]
    if settings.get("disable_any_whitespace"):
        parts.append(draft.emit(NO_WHITESPACE))
    if settings.get("reasoning_parser") and not draft.given("--reasoning-parser"):
        parts.append(reasoning_parser(draft, settings["reasoning_parser"]))
    return _all(parts)


def guided_backend(draft: Draft, value: str) -> Outcome:
    """0.8: `xgrammar:no-fallback,disable-any-whitespace`."""
    name, _, options = value.partition(":")
    parts = [backend(draft, name)]
    for option in filter(None, options.split(",")):
        if option == "disable-any-whitespace":
            parts.append(draft.emit(NO_WHITESPACE))
        elif option == "no-additional-properties":
            return refused(ADDITIONAL)
        elif option != "no-fallback":
            return invalid(f"'{option}' is no option of a back end")
    return _all(parts)


def backend(draft: Draft, name: str) -> Outcome:
    if name == "auto":
        return already("SGLang's default, xgrammar")
    if name not in GRAMMAR_BACKEND:
        names = ", ".join(("auto", *sorted(GRAMMAR_BACKEND)))
        return refused(f"SGLang has no back end for '{name}'; those with a counterpart: {names}")
    if name == "lm-format-enforcer":
        draft.warnings.append("lm-format-enforcer: SGLang has none; xgrammar holds answers to the same schemas")
    return draft.emit(BACKEND, GRAMMAR_BACKEND[name])


def no_whitespace(draft: Draft, value: str) -> Outcome:
    return already("SGLang allows white space") if value.lower() in NO else draft.emit(NO_WHITESPACE)


def no_additional_properties(draft: Draft, value: str) -> Outcome:
    return already("SGLang follows the schema") if value.lower() in NO else refused(ADDITIONAL)


def _all(parts: list[Outcome]) -> Outcome:
    """The first refusal, else all that was emitted."""
    if refusal := next((part for part in parts if part.action == "refuse"), None):
        return refusal
    targets = [part.target for part in parts if part.target]
    return Outcome("convert", " ".join(targets)) if targets else parts[0]


FLAGS: tuple[Flag, ...] = (
    convert("--structured-outputs-config", config, to=f"{BACKEND} {NO_WHITESPACE}"),
    convert("--guided-decoding-backend", guided_backend, to=BACKEND),
    convert("--guided-decoding-disable-any-whitespace", no_whitespace, to=NO_WHITESPACE),
    convert(
        "--guided-decoding-disable-additional-properties",
        no_additional_properties,
        to="refused where true: SGLang has no such rule",
    ),
    drop("--guided-decoding-disable-fallback", "SGLang has one back end and never falls back to another"),
)
