"""A request's tools as vLLM 0.33.0 hands them to a chat template: its own order of keys, with nulls, without extras.
Called by `prompt.renderer`, with the tools that the client sent and not with repaired ones.
"""

from collections.abc import Sequence
from typing import Any

from middleware.prompt.failures import BadPrompt
from middleware.prompt.request import truth


def dumped(tools: Sequence[Any]) -> list[dict[str, Any]]:
    if not tools:
        raise BadPrompt(
            "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely. "
            "(parameter=tools)",
            "tools",
        )
    return [_tool(tool, f"tools.{index}") for index, tool in enumerate(tools)]


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict):
        raise _wrong(where, "a valid dictionary")
    if not isinstance(tool.get("function"), dict):
        raise _wrong(f"{where}.function", "a valid dictionary")
    if tool.get("type", "function") != "function":
        raise _wrong(f"{where}.type", "'function'")
    deferred = _bool(tool, "defer_loading", where)
    function = _function(tool["function"], deferred, f"{where}.function")
    result: dict[str, Any] = {"type": "function", "function": function}
    if deferred is not None:
        result["defer_loading"] = deferred
    return result


def _function(function: dict[str, Any], deferred: bool | None, where: str) -> dict[str, Any]:
    """`strict` and `defer_loading` are left out where null; the others are not."""
    if not isinstance(function.get("name"), str):
        raise _wrong(f"{where}.name", "a valid string")
    for name, kind, noun in (("description", str, "string"), ("parameters", dict, "dictionary")):
        if not isinstance(function.get(name), (kind, type(None))):
            raise _wrong(f"{where}.{name}", f"a valid {noun}")
    result: dict[str, Any] = {name: function.get(name) for name in ("name", "description", "parameters")}
    strict = _bool(function, "strict", where)
    if strict is not None:
        result["strict"] = strict
    own = _bool(function, "defer_loading", where)
    if own is not None or deferred is not None:
        result["defer_loading"] = deferred if own is None else own
    return result


def _bool(of: dict[str, Any], name: str, where: str) -> bool | None:
    value = of.get(name)
    result = truth(value)
    if result is None and value is not None:
        raise _wrong(f"{where}.{name}", "a valid boolean")
    return result


def _wrong(where: str, expected: str) -> BadPrompt:
    return BadPrompt(f"body.{where}: Input should be {expected}", f"body.{where}")
