"""The tools of /v1/responses and the choice among them, as vLLM 0.33.0 shows them to the model and tells them again.
Used by `responses.asking` for the chat, and by `responses.output` for the names of calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from middleware.errors import bad_value
from middleware.fields.kinds import BOOL, DICT, STR, Errors, FieldType, list_of, wrong
from middleware.policy import Policy

Json = dict[str, Any]

CHOICE = "tool_choice"
# A tool that takes free text is shown as a function of one argument.
PAYLOAD = "input"
_PAYLOAD_SCHEMA = {
    "type": "object",
    "properties": {PAYLOAD: {"type": "string", "description": "The freeform text payload for this tool."}},
    "required": [PAYLOAD],
    "additionalProperties": False,
}
# The keys of a function that is told again, and their kinds.
_FUNCTION = {
    "name": STR,
    "parameters": DICT,
    "strict": BOOL,
    "type": STR,
    "defer_loading": BOOL,
    "description": STR,
}
_SHOWN = ("name", "description", "parameters", "strict", "defer_loading")
_NOT_FOUND = "Tool choice 'function' not found in 'tools' parameter."


@dataclass(frozen=True, slots=True)
class Tools:
    """`shown` are chat's; `names` are those that a call is told by, where the model knows it by another."""

    shown: Sequence[Json] = ()
    told: Sequence[Json] = ()
    names: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    custom: frozenset[str] = frozenset()


def flat(namespace: str, name: str) -> str:
    return f"{namespace}__{name}"


def _tool(value: Any, loc: str, errors: Errors) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        wrong(errors, "union_tag_not_found", loc, "Unable to extract tag using discriminator 'type'", value)
        return value
    kind = value["type"]
    at = f"{loc}.{kind}"
    if kind == "namespace":
        STR.read(value.get("name"), f"{at}.name", errors)
        list_of(TOOL).read(value.get("tools"), f"{at}.tools", errors)
    elif kind in ("function", "custom"):
        if "name" not in value:
            wrong(errors, "missing", f"{at}.name", "Field required", value)
        for name, of in _FUNCTION.items():
            if value.get(name) is not None or (name == "name" and name in value):
                of.read(value[name], f"{at}.{name}", errors)
    return value


TOOL = FieldType("tool", _tool)


def read(given: Sequence[Json]) -> Tools:
    """Namespaces are flat to the model, and what only OpenAI's servers run is not shown, as in vLLM."""
    shown: list[Json] = []
    names: dict[str, tuple[str, str]] = {}
    custom = []
    for tool in given:
        if tool["type"] == "function":
            shown.append(_shown(tool))
        elif tool["type"] == "custom":
            if (tool.get("format") or {}).get("type") == "grammar":
                words = (
                    "Custom tools with a grammar format are not supported; only free-form text custom tools are "
                    "accepted."
                )
                raise bad_value(words, "tools")
            custom.append(tool["name"])
            shown.append(_shown({**tool, "parameters": _PAYLOAD_SCHEMA}))
        elif tool["type"] == "namespace":
            for each in tool["tools"]:
                if each["type"] == "function":
                    name = flat(tool["name"], each["name"])
                    names[name] = each["name"], tool["name"]
                    shown.append(_shown({**each, "name": name}))
    told = [repeated(tool) if tool["type"] == "function" else tool for tool in given]
    return Tools(shown, told, names, frozenset(custom))


def _shown(tool: Json) -> Json:
    return {"type": "function", "function": {name: tool[name] for name in _SHOWN if tool.get(name) is not None}}


def repeated(tool: Json) -> Json:
    return {name: tool.get(name) for name in _FUNCTION}


def choice(given: Any, tools: Tools, policy: Policy) -> tuple[Any, Any]:
    """As it is told again, and as chat has it: None for a chat without tools."""
    of_name = isinstance(given, dict) and given.get("type") in ("function", "custom")
    if not tools.told:
        if given == "required":
            raise bad_value("Tool choice 'required' must be specified with 'tools' parameter.", CHOICE)
        if of_name:
            raise bad_value(_NOT_FOUND, CHOICE)
        return ("none" if isinstance(given, str) else given), None
    if of_name:
        given = {**given, "name": _resolved(given.get("name"), tools)}
        wanted: Any = {"type": "function", "function": {"name": given["name"]}}
    else:
        wanted = given if isinstance(given, str) else "none"
    if not finds_calls(policy):
        # vLLM shows the tools and answers in the model's own words; chat would refuse. "none" is the same prompt.
        return given, "none" if tools.shown and not policy.exclude_tools_when_tool_choice_none else wanted
    if not tools.shown:
        if wanted not in ("auto", "none"):
            words = "tool_choice requires a function call, but tools contains no function tool the model can call."
            raise bad_value(words, CHOICE)
        return given, None
    return given, wanted


def finds_calls(policy: Policy) -> bool:
    """On /v1/responses vLLM looks for any call only with --enable-auto-tool-choice."""
    return policy.tool_parser and policy.auto_tool_choice


def _resolved(name: Any, tools: Tools) -> str:
    flat_names = [tool["function"]["name"] for tool in tools.shown]
    if isinstance(name, str) and name in flat_names:
        return name
    candidates = [each for each, (local, _) in tools.names.items() if local == name]
    if len(candidates) > 1:
        words = (
            f"Tool choice '{name}' is ambiguous: it is defined in more than one namespace ({', '.join(candidates)}). "
            "Select it by its full '<namespace>__<name>' name."
        )
        raise bad_value(words, CHOICE)
    if not candidates:
        raise bad_value(_NOT_FOUND, CHOICE)
    return candidates[0]
