"""Tool definitions that vLLM serves and SGLang 0.5.23 refuses, because their schema is no JSON schema: repaired.
A repair of the table of chat fields, at any depth; definitions that are in order keep their bytes.
"""

from typing import Any

from middleware.fields.draft import Draft

# Keywords by what they hold. Whatever is not named is left alone: `default`, `enum`, `const` and `examples` hold data,
# in which "required" is a word like any other.
ONE_SCHEMA = (
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
)
SCHEMAS_IN_LIST = ("allOf", "anyOf", "items", "oneOf", "prefixItems")
SCHEMAS_BY_NAME = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")


def repair_tools(draft: Draft) -> None:
    if "tools" not in draft.fields:
        return
    tools = draft.value("tools")
    if not isinstance(tools, list):
        return
    changed = False
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and repair_function(function):
            changed = True
    if changed:
        draft.replace("tools", tools)


def repair_function(function: dict[str, Any]) -> bool:
    """Whether anything had to be changed. No parameters, or null, is in order."""
    parameters = function.get("parameters")
    if parameters is None:
        return False
    if not isinstance(parameters, dict):
        function["parameters"] = {"type": "object", "properties": {}}
        return True
    return repair_schema(parameters)


def repair_schema(schema: dict[str, Any]) -> bool:
    """Repairs in place. Without recursion: the depth is the client's to choose."""
    changed = False
    waiting = [schema]
    while waiting:
        current = waiting.pop()
        changed |= _repair_names(current)
        for keyword in SCHEMAS_BY_NAME:
            by_name = current.get(keyword)
            if not isinstance(by_name, dict):
                continue
            for name, nested in by_name.items():
                if isinstance(nested, dict):
                    waiting.append(nested)
                elif not isinstance(nested, bool):
                    by_name[name] = {}  # An empty PHP array, mostly. The name itself must stay.
                    changed = True
        for keyword in SCHEMAS_IN_LIST:
            several = current.get(keyword)
            if isinstance(several, list):
                waiting += [nested for nested in several if isinstance(nested, dict)]
        for keyword in ONE_SCHEMA:
            nested = current.get(keyword)
            if isinstance(nested, dict):
                waiting.append(nested)
    return changed


def _repair_names(schema: dict[str, Any]) -> bool:
    """`properties` must be an object, `required` a list of strings, each once."""
    changed = False
    if not isinstance(schema.get("properties", {}), dict):
        schema["properties"] = {}
        changed = True
    if "required" in schema:
        required = schema["required"]
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        names = list(dict.fromkeys(names))
        if not isinstance(required, list):
            del schema["required"]  # Such as `required: true` beside a single property, the way of draft 3.
            changed = True
        elif names != required:
            schema["required"] = names
            changed = True
    return changed
