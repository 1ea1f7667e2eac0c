"""Which chat requests SGLang 0.5.23 would show the model otherwise than vLLM 0.33.0, so that the prompt must be
rendered here, and which cannot be. Called for every chat request, with what was decoded of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from middleware.prompt.conversation import BILLING_HEADER, TEXT_PARTS
from middleware.prompt.request import truth

# Fields that change the prompt in one of the two only, and why; a null is no value.
FIELDS: Mapping[str, str] = {
    "tools": 'SGLang adds "defer_loading": null to each and keeps the client\'s order of keys',
    "documents": "SGLang ignores them",
    "chat_template": "SGLang ignores it",
    "reasoning_effort": "SGLang sets `thinking` beside `enable_thinking`",
    "reasoning": "SGLang reads an effort from it and vLLM nothing",
    "truncate_prompt_tokens": "SGLang ignores it: the ids are cut here",
}
# Flags, and the value at which SGLang ignores them or means something else by them.
FLAGS: Mapping[str, bool] = {
    "add_generation_prompt": False,
    "continue_final_message": True,
    "add_special_tokens": True,
}
# Keys of a message that one of the two drops or hands on otherwise: calls with an index of null and arguments that
# must be JSON, reasoning under one name instead of two.
KEYS = frozenset(("tool_calls", "reasoning", "reasoning_content", "tools", "task", "phase", "prefix"))
# Roles that both hand to the template as they are.
ROLES = ("system", "user", "assistant", "tool", "function")
# Arguments of the template that vLLM sets over the request's, and that SGLang answers 500 to.
OVERRIDDEN = frozenset(("add_generation_prompt", "continue_final_message", "return_dict", "tokenize"))
# Arguments that vLLM does not hand on, and SGLang does.
RESERVED = OVERRIDDEN | frozenset(("documents", "messages", "tools"))


def why_render(fields: Mapping[str, Any], texts_are_alike: bool = True) -> str | None:
    """What would differ, or None. `texts_are_alike` is the renderer's."""
    for name in fields:
        if name in FIELDS and fields[name] is not None:
            return f"{name}: {FIELDS[name]}"
        if name in FLAGS and truth(fields[name]) is FLAGS[name]:
            return f"{name}: not as in SGLang"
    kwargs = fields.get("chat_template_kwargs")
    if isinstance(kwargs, dict) and any(value in (None, "auto") or key in RESERVED for key, value in kwargs.items()):
        return "chat_template_kwargs: SGLang hands on those that vLLM drops"
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        return None
    if isinstance(messages[-1], dict) and messages[-1].get("role") == "assistant":
        return "messages: SGLang makes a last message of the assistant one of the user"
    for message in messages:
        if isinstance(message, dict) and (why := _differs(message)) is not None:
            return f"messages: {why}"
    return None if texts_are_alike else "messages: the template tells texts from lists of one text"


def _differs(message: Mapping[str, Any]) -> str | None:
    role = message.get("role")
    if role not in ROLES:
        return "a role that only one of the two knows"
    content = message.get("content")
    if isinstance(content, list):
        return "SGLang joins the parts of a content with blanks, or wants them typed"
    if content is None and role == "user":
        return "SGLang refuses a user's message without content"
    if isinstance(content, str) and role == "system" and content.startswith(BILLING_HEADER):
        return "vLLM takes out Claude Code's billing header"
    if role == "user" and message.get("name") is not None:
        return "SGLang drops a user's name"
    if role != "tool" and message.get("tool_call_id") is not None:
        return "vLLM drops the id of a tool call from all but a tool's answer"
    if not KEYS.isdisjoint(message) and any(message.get(key) is not None for key in KEYS):
        return "calls, reasoning and marks are handed on otherwise"
    return None


def not_text(messages: Sequence[Any]) -> str | None:
    """The type of the first part that is neither text nor a mistake: such prompts cannot be sent as ids, because
    SGLang drops media then. None where all is text."""
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") not in (*TEXT_PARTS, "tool_reference"):
                return str(part.get("type"))[:40]
    return None
