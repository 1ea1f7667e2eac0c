"""What is asked of /v1/responses alone: its input, background work, prompt templates, structured output.
Checks and a repair of the table of responses, in vLLM's words where it has some.
"""

from typing import Any

from middleware.errors import Refused, bad_request, bad_value, error
from middleware.fields import trust
from middleware.fields.draft import Draft
from middleware.fields.kinds import Errors, FieldType, missing, one_of

INPUT = "input"
TEXT = "text"
LENGTH = "max_output_tokens"
HEADROOM = 2


def input_given(draft: Draft) -> None:
    if INPUT not in draft.fields:
        raise missing((INPUT,), len(draft.fields))


def no_template(draft: Draft, name: str) -> None:
    if draft.value(name) is not None:
        raise bad_value("prompt template is not supported", name)
    draft.drop(name)


def background(draft: Draft, name: str, wanted: Any) -> None:
    if wanted and draft.value("store") is False:
        raise bad_value(f"{name} can only be used when `store` is true", name)
    if wanted and not draft.policy.response_store:
        words = (
            "This vLLM engine does not support `store=True` and therefore does not support the background mode. To "
            "enable these features, set the environment variable `VLLM_ENABLE_RESPONSES_API_STORE=1` when launching "
            "the vLLM server."
        )
        raise Refused(error(400, words, param=name, kind="invalid_request_error"))


def previous(draft: Draft, name: str, response_id: Any) -> None:
    """Where nothing is stored there is none."""
    if not draft.policy.response_store:
        raise no_such_response(response_id)


def no_such_response(response_id: str) -> Refused:
    words = f"Response with id '{response_id}' not found."
    return Refused(error(404, words, param="response_id", kind="invalid_request_error"))


def headroom(draft: Draft) -> None:
    """SGLang 0.5.23 makes an answer shorter by two tokens than it is asked for; the answer's editing knows."""
    if draft.given(LENGTH):
        wanted = draft.number(LENGTH)
        if wanted is not None:
            draft.replace(LENGTH, wanted + HEADROOM)


def processor_kwargs(draft: Draft, name: str, value: Any) -> None:
    trust.processor_kwargs(draft, name, value)
    if value:
        raise bad_value(f"{name} is not supported: SGLang has no such thing on /v1/responses.", name)
    draft.drop(name)


def _choice(value: Any, loc: str, errors: Errors) -> Any:
    return value if isinstance(value, dict) else _WORDS.read(value, loc, errors)


_WORDS = one_of("none", "auto", "required")
CHOICE = FieldType("tool choice", _choice)


def as_text_format(draft: Draft, name: str, given: Any) -> None:
    """SGLang's /v1/responses takes a schema for its text, and no other constraint."""
    draft.drop(name)
    text = draft.value(TEXT) or {}
    if text.get("format") is not None:
        raise bad_value(f"Cannot specify both {name} and text.format", name)
    if given.get("json") is not None:
        wanted = {"type": "json_schema", "name": "schema", "schema": given["json"]}
        if not isinstance(given["json"], dict):
            raise bad_request(f"{name}.json must be a JSON object.", name)
    elif given.get("json_object"):
        wanted = {"type": "json_object"}
    else:
        raise bad_request(f"{name} is not supported on /v1/responses, except for json and json_object.", name)
    draft.replace(TEXT, {**text, "format": wanted})
