"""A conversation: what vLLM takes and SGLang 0.5.23 does not is put into SGLang's words, and the rest is refused.
A repair of the table of chat; a message that is in order keeps its bytes, whatever happens to the others.
"""

from typing import Any

import msgspec

from middleware.errors import bad_request
from middleware.fields.draft import RAW_NULL, Draft
from middleware.fields.kinds import LIST, Errors, missing, schema_error, wrong
from middleware.fields.parts import rewritten

MESSAGES = "messages"

Message = dict[str, msgspec.Raw]

_MESSAGES = msgspec.json.Decoder(list[Message])
_EMPTY = msgspec.Raw(b'""')
# The forms that vLLM tries a message against, with the role of each and what else it must have.
_FORMS = (
    ("ChatCompletionDeveloperMessageParam", "developer", ()),
    ("ChatCompletionSystemMessageParam", "system", ()),
    ("ChatCompletionUserMessageParam", "user", ()),
    ("ChatCompletionAssistantMessageParam", "assistant", ()),
    ("ChatCompletionToolMessageParam", "tool", ("tool_call_id",)),
    ("ChatCompletionFunctionMessageParam", "function", ("name",)),
)
# Whose content may be null.
_SILENT = frozenset({"assistant", "function"})


def conversation(draft: Draft) -> None:
    raw = draft.fields.get(MESSAGES)
    if raw is None:
        raise missing((MESSAGES,), len(draft.fields))
    if bytes(raw[:1] if isinstance(raw, bytes) else memoryview(raw)[:1]) != b"[":
        _no_list(draft)
    try:
        messages = _MESSAGES.decode(raw)
    except msgspec.ValidationError:
        raise _no_messages(draft.value(MESSAGES)) from None
    if not messages:
        raise bad_request("Cannot apply chat template to an empty conversation. Provide at least one message.")
    changed = False
    draft.texts = messages
    for place, message in enumerate(messages):
        changed |= _settle(message, place, draft)
    if changed:
        draft.replace(MESSAGES, messages)
        draft.texts = None


def _no_list(draft: Draft) -> None:
    value = draft.value(MESSAGES)
    if value is None:
        raise bad_request("'NoneType' object is not iterable")
    errors: Errors = []
    LIST.read(value, f"body.{MESSAGES}", errors)
    if errors:
        raise schema_error(errors)


def _no_messages(value: Any) -> Exception:
    errors: Errors = []
    for place, message in enumerate(value):
        if not isinstance(message, dict):
            for form, _, _ in _FORMS:
                wrong(errors, "dict_type", f"body.{MESSAGES}.{place}.{form}", "Input should be a valid dictionary",
                      message)  # fmt: skip
    return schema_error(errors)


def _settle(message: Message, place: int, draft: Draft) -> bool:
    """Whether it had to be changed."""
    changed = False
    role = message.get("role")
    name = None if role is None else msgspec.json.decode(role)
    if not isinstance(name, str):
        raise _no_message(message, place)
    content = message.get("content")
    if content is None:
        if name == "user":  # vLLM takes it for no words; SGLang asks for some.
            message["content"] = _EMPTY
            changed = True
    else:
        beginning = bytes(memoryview(content)[:1])
        if beginning == b"[":
            draft.texts = None
            parts = rewritten(content, name)
            if parts is not None:
                message["content"] = parts
                changed = True
        elif beginning != b'"' and not (beginning == b"n" and name in _SILENT):
            raise _no_message(message, place)
    reasoning = message.get("reasoning")
    if reasoning is not None:  # The name since vLLM 0.12; SGLang knows the older one.
        del message["reasoning"]
        if bytes(reasoning) != RAW_NULL:
            message["reasoning_content"] = reasoning
        changed = True
    return changed


def _no_message(raw: Message, place: int) -> Exception:
    """Each form says why the message is not of it."""
    message = {name: msgspec.json.decode(value) for name, value in raw.items()}
    errors: Errors = []
    at = f"body.{MESSAGES}.{place}"
    for form, role, needed in _FORMS:
        if not (form.startswith("ChatCompletionFunction") or (role in _SILENT and message.get("content") is None)):
            _no_content(message, f"{at}.{form}.content", errors, "iterable_type", "Input should be iterable")
        if role == "function":
            _needed(message, needed, f"{at}.{form}", errors)
        _no_role(message, role, f"{at}.{form}.role", errors)
        if role != "function":
            _needed(message, needed, f"{at}.{form}", errors)
    custom = f"{at}.CustomChatCompletionMessageParam"
    _no_content(message, f"{custom}.content", errors, "list_type", "Input should be a valid list")
    _needed(message, ("role",), custom, errors)
    _needed(message, ("author", "content_type"), f"{at}.Message", errors)
    return schema_error(errors)


def _no_content(message: dict[str, Any], loc: str, errors: Errors, kind: str, msg: str) -> None:
    if "content" in message and not isinstance(message["content"], str | list):
        wrong(errors, "string_type", loc, "Input should be a valid string", message["content"])
        wrong(errors, kind, loc, msg, message["content"])


def _no_role(message: dict[str, Any], role: str, loc: str, errors: Errors) -> None:
    if "role" not in message:
        wrong(errors, "missing", loc, "Field required", message)
    elif message["role"] != role:
        wrong(errors, "literal_error", loc, f"Input should be '{role}'", message["role"], expected=f"'{role}'")


def _needed(message: dict[str, Any], names: tuple[str, ...], loc: str, errors: Errors) -> None:
    for name in names:
        if name not in message:
            wrong(errors, "missing", f"{loc}.{name}", "Field required", message)
