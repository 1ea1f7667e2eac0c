"""How much one request may ask for: sequences, stop strings, prompts. vLLM's environment sets them, in vLLM's words.
Checks of the tables of chat, completions and responses.
"""

import re

import msgspec

from middleware.errors import bad_request, bad_schema, bad_value
from middleware.fields.draft import Draft

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
# Of texts or of lists of numbers: a list of numbers is one prompt.
_LIST_OF_PROMPTS = re.compile(rb'\[\s*["\[]')


def sequences(draft: Draft, name: str) -> None:
    wanted = draft.number(name)
    limit = draft.policy.max_n
    if wanted is None:
        return
    if wanted < 1:
        raise bad_request(f"{name} must be at least 1, got {wanted}.")
    if wanted > limit:
        raise bad_request(
            f"{name} must be at most {limit}, got {wanted}. "
            "To increase this limit, set the VLLM_MAX_N_SEQUENCES environment variable."
        )


def stop_strings(draft: Draft, name: str) -> None:
    given = draft.value(name)
    limit = draft.policy.max_stop_strings
    if not isinstance(given, list) or len(given) <= limit:
        return
    loc = f"body.{name}"
    shown = f"<list of {len(given)} items>"
    raise bad_schema(
        {"type": "string_type", "loc": loc, "msg": "Input should be a valid string", "input": shown},
        {
            "type": "too_long",
            "loc": loc,
            "msg": f"List should have at most {limit} items after validation, not {len(given)}",
            "input": shown,
            "ctx": {"field_type": "List", "max_length": limit, "actual_length": len(given)},
        },
    )


def prompts(draft: Draft, name: str) -> None:
    """Only counted, and only where there may be too many."""
    raw = draft.fields[name]
    limit = draft.policy.max_completion_prompts
    if _LIST_OF_PROMPTS.match(raw) is None or bytes(raw).count(b",") < limit:
        return
    given = len(_LIST.decode(raw))
    if given > limit:
        raise bad_value(
            f"prompt list length {given} exceeds the maximum allowed count of {limit}. "
            "To increase this limit, set the VLLM_MAX_COMPLETION_PROMPTS environment variable.",
            name,
        )
