"""What of a chat request makes its prompt: one frozen value, with vLLM 0.33.0's defaults.
Made by the caller of `prompt.renderer` from a decoded request; nulls mean what leaving the field out means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from middleware.prompt.failures import BadPrompt

BOTH = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."

# What pydantic, which reads them in vLLM, takes for a bool; 1 and 0 are equal to True and False.
TRUE = (True, "1", "true", "True", "TRUE", "t", "T", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON")
FALSE = (False, "0", "false", "False", "FALSE", "f", "F", "n", "N", "no", "No", "NO", "off", "Off", "OFF")


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """Values are as JSON has them; what a client may have got wrong inside is found while rendering."""

    messages: Sequence[Any]
    tools: Sequence[Any] | None = None
    tool_choice: object = None
    chat_template: str | None = None
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    documents: Sequence[Any] | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    # Not of the text, but of making ids of it: to be given to whatever tokenizes.
    add_special_tokens: bool = False
    reasoning_effort: str | None = None


def from_request(fields: Mapping[str, Any]) -> ChatPrompt:
    """Of a whole request decoded; fields that no prompt depends on are ignored. Raises BadPrompt."""
    if fields.get("messages") is None:
        raise BadPrompt("'NoneType' object is not iterable")
    continued = flag(fields, "continue_final_message", False)
    if continued and fields.get("add_generation_prompt") is not None and flag(fields, "add_generation_prompt", True):
        raise BadPrompt(BOTH)
    return ChatPrompt(
        messages=_of_type(fields, "messages", list),
        tools=_of_type(fields, "tools", list),
        tool_choice=fields.get("tool_choice"),
        chat_template=_of_type(fields, "chat_template", str),
        chat_template_kwargs=_of_type(fields, "chat_template_kwargs", dict) or {},
        documents=_of_type(fields, "documents", list),
        add_generation_prompt=flag(fields, "add_generation_prompt", True),
        continue_final_message=continued,
        add_special_tokens=flag(fields, "add_special_tokens", False),
        reasoning_effort=_of_type(fields, "reasoning_effort", str),
    )


def flag(fields: Mapping[str, Any], name: str, default: bool) -> bool:
    value = fields.get(name)
    if value is None:
        return default
    as_bool = truth(value)
    if as_bool is None:
        raise BadPrompt(f"{name}: Input should be a valid boolean", name)
    return as_bool


def truth(value: object) -> bool | None:
    """None is for what is neither true nor false."""
    if isinstance(value, (bool, int, float, str)):
        return True if value in TRUE else False if value in FALSE else None
    return None


def _of_type(fields: Mapping[str, Any], name: str, kind: type) -> Any:
    value = fields.get(name)
    if value is not None and not isinstance(value, kind):
        raise BadPrompt(f"{name}: Input should be a valid {_NAMES[kind]}", name)
    return value


_NAMES: dict[type, str] = {list: "list", dict: "dictionary", str: "string"}
