"""What a request may bring only to a server that trusts its clients: a chat template, arguments for the processor.
Checks of the tables; the flags are vLLM's --trust-request-chat-template and --trust-request-mm-kwargs.
"""

from typing import Any

from middleware.errors import bad_request, bad_value
from middleware.fields.draft import Draft

KWARGS = "chat_template_kwargs"
TEMPLATE = "chat_template"

_UNTRUSTED = (
    "Chat template is passed with request, but --trust-request-chat-template is not set. "
    "Refused request with untrusted chat template."
)


def template(draft: Draft, name: str, value: Any) -> None:
    """SGLang ignores the field, and takes a template among the template's arguments."""
    if not draft.policy.trust_request_chat_template:
        raise bad_request(_UNTRUSTED)
    draft.drop(name)
    _argue(draft, TEMPLATE, value)


def template_kwargs(draft: Draft, name: str, kwargs: Any) -> None:
    if TEMPLATE not in kwargs:
        return
    if kwargs[TEMPLATE] is None:  # It asks for nothing, but SGLang looks for the key alone.
        draft.replace(name, {key: value for key, value in kwargs.items() if key != TEMPLATE})
    elif not draft.policy.trust_request_chat_template:
        raise bad_request(_UNTRUSTED)


def documents(draft: Draft, name: str, value: Any) -> None:
    """SGLang ignores the field; its template is given what stands among the arguments."""
    draft.drop(name)
    _argue(draft, name, value)


def spaces(draft: Draft, name: str, value: Any) -> None:
    """SGLang looks for it there, of all places."""
    draft.drop(name)
    if not value:
        _argue(draft, name, value)


def _argue(draft: Draft, name: str, value: Any) -> None:
    """Into the template's arguments, which the table has looked at before."""
    draft.replace(KWARGS, {**(draft.value(KWARGS) or {}), name: value})


def processor_kwargs(draft: Draft, name: str, value: Any) -> None:
    if value and not draft.policy.trust_request_mm_kwargs:
        raise _untrusted(name, "multimodal preprocessing")


def media_kwargs(draft: Draft, name: str, value: Any) -> None:
    if not value:
        draft.drop(name)
        return
    if not draft.policy.trust_request_mm_kwargs:
        raise _untrusted(name, "multimodal media loading")
    raise bad_value(f"{name} is not supported: SGLang loads media in one way for the whole server.", name)


def _untrusted(name: str, what: str) -> Exception:
    return bad_value(
        f"Per-request {name} are disabled by default because they can change {what} resource usage. "
        "Start the server with --trust-request-mm-kwargs only when clients are trusted.",
        name,
    )
