"""`cache_salt`: what vLLM asks of it before it reaches a cache, in vLLM's words.
A check of the tables.
"""

from middleware.errors import bad_value
from middleware.fields.draft import Draft

LONGEST = 128
FORBIDDEN = frozenset("@/\\\0")


def cache_salt(draft: Draft, name: str) -> None:
    salt = draft.value(name)
    if salt is None:
        return
    if not isinstance(salt, str) or not salt:
        raise bad_value(f"Parameter '{name}' must be a non-empty string if provided.", name)
    if len(salt) > LONGEST or not FORBIDDEN.isdisjoint(salt):
        raise bad_value(
            f"Parameter '{name}' must be at most {LONGEST} characters and must not contain '@', '/', '\\\\', or NUL.",
            name,
        )
