"""Tools and the choice among them: what vLLM asks of them before it looks at anything else, in vLLM's words.
Checks and a repair of the table of chat.
"""

from typing import Any, NoReturn

from middleware.errors import Refused, bad_request, bad_value
from middleware.fields.bound import Asking, Server
from middleware.fields.draft import Draft
from middleware.fields.kinds import BOOL, DICT, OBJECT, STR, Errors, FieldType, list_of, shown, wrong
from middleware.fields.tally import TOOLS
from middleware.policy import Policy

CHOICE = "tool_choice"
_CORRECT = 'Correct usage: `{"type": "function", "function": {"name": "my_function"}}`'


def not_empty(draft: Draft, name: str) -> None:
    if draft.value(name) == []:
        raise bad_value(
            f"`{name}` must not be an empty array. Either provide at least one tool or omit the field entirely.", name
        )


def choice_of_tools(draft: Draft, name: str) -> None:
    choice = draft.value(name)
    if choice in ("none", None):
        return
    if not draft.given("tools"):
        raise bad_value(f"When using `{name}`, `tools` must be set.", name)
    if isinstance(choice, dict):
        _require_named(draft, choice)
    elif choice not in ("auto", "required"):
        raise bad_value(
            f"Invalid value for `{name}`: {shown(choice)}! "
            'Only named tools, "none", "auto" or "required" are supported.',
            name,
        )


def _require_named(draft: Draft, choice: dict[str, Any]) -> None:
    function = choice.get("function")
    if not isinstance(function, dict):
        _invalid(f"Invalid value for `function`: `{shown(function)}` in `{CHOICE}`! {_CORRECT}", "function")
    if "name" not in function:
        _invalid(f"Expected field `name` in `function` in `{CHOICE}`! {_CORRECT}", "function.name")
    name = function["name"]
    if not isinstance(name, str) or not name:
        _invalid(f"Invalid `name` in `function`: `{shown(name)}` in `{CHOICE}`! {_CORRECT}", "function.name")
    tools = draft.value("tools")
    if isinstance(tools, list) and not any(_name(tool) == name for tool in tools):
        raise bad_value(f"The tool specified in `{CHOICE}` does not match any of the specified `tools`", CHOICE)


def _invalid(message: str, place: str) -> NoReturn:
    raise bad_value(message, f"{CHOICE}.{place}")


def _name(tool: object) -> object:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function.get("name") if isinstance(function, dict) else None


def _tool(value: Any, loc: str, errors: Errors) -> Any:
    if not isinstance(value, dict):
        return OBJECT.read(value, loc, errors)
    if value.get("type", "function") != "function":
        msg = "Input should be 'function'"
        wrong(errors, "literal_error", f"{loc}.type", msg, value["type"], expected="'function'")
    function = value.get("function")
    if "function" not in value:
        wrong(errors, "missing", f"{loc}.function", "Field required", value)
    elif not isinstance(function, dict):
        OBJECT.read(function, f"{loc}.function", errors)
    else:
        _function(function, f"{loc}.function", errors)
    return value


def _function(function: dict[str, Any], loc: str, errors: Errors) -> None:
    """What is no schema at all in `parameters` is repaired, not refused: `repair.tool_schemas`."""
    if "name" not in function:
        wrong(errors, "missing", f"{loc}.name", "Field required", function)
    for member, kind in (("name", STR), ("description", STR), ("strict", BOOL)):
        value = function.get(member)
        if value is not None or (member == "name" and member in function):
            kind.read(value, f"{loc}.{member}", errors)


TOOL_LIST = list_of(FieldType("tool", _tool))


def _choice(value: Any, loc: str, errors: Errors) -> Any:
    return value if isinstance(value, str) else DICT.read(value, loc, errors)


TOOL_CHOICE = FieldType("tool choice", _choice)


def _parsable(draft: Draft, server: Server) -> None:
    if not draft.given("tools"):
        return
    try:
        require_parser(draft.policy, draft.value(CHOICE) or "auto")
    except Refused:
        server.tally.count(TOOLS)
        raise


def require_parser(policy: Policy, choice: Any) -> None:
    """Without a parser nobody finds a call in the model's words; vLLM refuses what would look for one."""
    if choice == "none" or (policy.tool_parser and (choice != "auto" or policy.auto_tool_choice)):
        return
    if choice == "auto":
        raise bad_request('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    told = f'function "{choice["function"]["name"]}"' if isinstance(choice, dict) else f'"{choice}"'
    raise bad_request(f"{CHOICE}={told} requires --tool-call-parser to be set")


parsable = Asking(_parsable)
