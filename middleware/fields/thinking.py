"""`thinking_token_budget`: what vLLM takes for one, and what SGLang can do about it, which is nothing.
A check of the tables of chat and completions.
"""

from middleware.errors import bad_request, bad_value
from middleware.fields.draft import Draft

UNLIMITED = -1


def budget(draft: Draft, name: str) -> None:
    value = draft.value(name)
    if value is None:
        draft.drop(name)
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < UNLIMITED:
        raise bad_value(f"`{name}` must be a non-negative integer or -1 for unlimited.", name, value)
    if value != UNLIMITED and not draft.policy.reasoning_parser:
        raise bad_request(
            f"{name} is set but reasoning_config is not configured. "
            f"Please set --reasoning-parser and/or --reasoning-config to use {name}."
        )
    if value != UNLIMITED:
        raise bad_value(f"{name} is not supported: SGLang does not count the tokens of a thought.", name, value)
    draft.drop(name)
