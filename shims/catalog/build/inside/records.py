"""An argparse parser as the catalog's records: names, arity, type, choices, defaults, and no help texts.
`ask` calls it where the parser of vLLM or SGLang can be built.
"""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]

# By the name of the function that both projects give argparse as a type; any other makes a text.
TYPES = {
    "int": "int",
    "float": "float",
    "loads": "json",
    "parse_dataclass": "json",
    "human_readable_int": "human_int",
    "human_readable_int_or_auto": "human_int_or_auto",
    "union_dict_and_str": "json_or_str",
}
OPTIONAL = "_optional_type"  # vLLM's: '' and 'None' mean None
WRAPPERS = (OPTIONAL, "_parse_type")


def records(parser: argparse.ArgumentParser, with_defaults: bool) -> list[Record]:
    """One record a flag, in the parser's order; positionals and --help are none."""
    spellings: dict[int, list[str]] = {}
    # vLLM takes hidden negations out of `action.option_strings`; here they still are.
    for spelling, action in parser._option_string_actions.items():  # noqa: SLF001
        spellings.setdefault(id(action), []).append(spelling)
    return [
        record(action, spellings[id(action)], with_defaults)
        for action in parser._actions  # noqa: SLF001
        if id(action) in spellings and not isinstance(action, argparse._HelpAction)  # noqa: SLF001
    ]


def record(action: argparse.Action, spellings: list[str], with_defaults: bool) -> Record:
    negative = negations(action, spellings)
    positive = [spelling for spelling in spellings if spelling not in negative]
    name = next(spelling for spelling in positive if spelling.startswith("--"))
    arity = arity_of(action)
    kind, optional = type_of(action.type)
    found: Record = {"name": name}
    if len(positive) > 1:
        found["aliases"] = [spelling for spelling in positive if spelling != name]
    if negative:
        found["negations"] = negative
    found["arity"] = arity
    if arity != "switch":
        found["type"] = kind
        if choices := choices_of(action, optional):
            found["choices"] = choices
        if optional:
            found["optional"] = True
    if with_defaults and (default := plain(action.default)) is not None:
        found["default"] = default
    return found


def negations(action: argparse.Action, spellings: list[str]) -> list[str]:
    """vLLM 0.33.0's booleans name theirs; Python's own BooleanOptionalAction goes by the prefix."""
    if not isinstance(action, argparse.BooleanOptionalAction):
        return []
    named = getattr(action, "negative_option_strings", ())
    return [spelling for spelling in spellings if spelling in named or (not named and spelling.startswith("--no-"))]


def arity_of(action: argparse.Action) -> str:
    if isinstance(action, argparse._AppendAction):  # noqa: SLF001
        return "append"
    if action.nargs is None:
        return "one"
    return {0: "switch", "?": "optional"}.get(action.nargs, "many")


def type_of(function: Callable[[str], Any] | str | None) -> tuple[str, bool]:
    """The catalog's name for it, and whether vLLM's `optional_type` is around it."""
    name, optional = getattr(function, "__name__", ""), False
    while name in WRAPPERS:
        optional = optional or name == OPTIONAL
        # Its only variable, by this name in vLLM 0.8.5, 0.11.0 and 0.33.0.
        function = inspect.getclosurevars(function).nonlocals["return_type"]  # type: ignore[arg-type]
        name = getattr(function, "__name__", "")
    if name == "<lambda>" and function("A-b") == "a_b":  # type: ignore[operator,misc]  # vLLM's kernel names
        return "folded", optional
    return TYPES.get(name, "str"), optional


def choices_of(action: argparse.Action, optional: bool) -> list[Any]:
    """Without the None (0.8.5 and 0.11.0: 'None') that vLLM adds for `optional`. A set has another order in every
    process."""
    nothing = (None, "None") if optional else (None,)
    found = [choice for choice in action.choices or () if choice not in nothing]
    return sorted(found, key=str) if isinstance(action.choices, (set, frozenset)) else found


def plain(default: Any) -> Any:
    """The default as JSON has it, else None: an object's fields belong to no flag."""
    # Subclasses too: vLLM 0.33.0's `OptimizationLevel.O2` is an int, its dict of multimodal options a dict.
    if default == argparse.SUPPRESS or not isinstance(default, (bool, int, float, str, list, dict)):
        return None
    try:
        return json.loads(json.dumps(default))
    except (TypeError, ValueError):
        return None
