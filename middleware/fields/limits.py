"""How much one request may ask for: stop strings, prompts. vLLM's environment sets them, in vLLM's words.
Checks of the tables of chat, completions and responses; how many sequences is among the bounds of sampling.
"""

import re
from typing import Any

import msgspec

from middleware.errors import bad_request, bad_value
from middleware.fields.draft import Draft
from middleware.fields.kinds import LIST, STR, Errors, FieldType, list_of, schema_error, wrong

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
# Of texts or of lists of numbers: a list of numbers is one prompt.
_LIST_OF_PROMPTS = re.compile(rb'\[\s*["\[]')


def _stop(value: Any, loc: str, errors: Errors) -> Any:
    """A string or a list of them: each form says why the value is not of it."""
    if isinstance(value, str):
        return value
    STR.read(value, loc, errors)
    if isinstance(value, list):
        found: Errors = []
        list_of(STR).read(value, loc, found)
        if not found:
            errors.clear()
        errors += found
        return value
    return LIST.read(value, loc, errors)


STOP = FieldType("str|list[str]", _stop)


def stop_strings(draft: Draft, name: str, given: Any) -> None:
    limit = draft.policy.max_stop_strings
    if isinstance(given, list) and len(given) > limit:
        raise _too_many(name, given, limit)
    if given == "" or (isinstance(given, list) and "" in given):
        raise bad_request(f"{name} cannot contain an empty string.")


def _too_many(name: str, given: list[Any], limit: int) -> Exception:
    loc, errors = f"body.{name}", Errors()
    STR.read(given, loc, errors)
    msg = f"List should have at most {limit} items after validation, not {len(given)}"
    wrong(errors, "too_long", loc, msg, given, field_type="List", max_length=limit, actual_length=len(given))
    return schema_error(errors)


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
