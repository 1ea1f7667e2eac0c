"""How large and how deep a value of somebody else's may be: Python's own JSON, `repr` and `copy` all end in a
RecursionError a thousand levels down. The parsers of flags, of YAML and of the model's files ask here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

DEEPEST = 100  # no schema and no configuration comes near
LARGEST = 20_000_000  # characters, with every alias of YAML written out
A_PART = 10  # what each part counts for beside its characters


class TooMuch(ValueError):
    """The message is the end of a sentence about it, and repeats no value."""


def loads(text: str) -> Any:
    """JSON. Raises ValueError, for every text that is no value to work with."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise TooMuch(f"is more than {DEEPEST} levels deep") from None
    return bounded(value)


def bounded(value: Any, largest: int = LARGEST) -> Any:
    """The value itself. Raises TooMuch; a value that is its own part is deeper than any limit."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    size = 0
    while waiting:
        one, depth = waiting.pop()
        size += A_PART + (len(one) if isinstance(one, (str, bytes)) else 0)
        if depth > DEEPEST:
            raise TooMuch(f"is more than {DEEPEST} levels deep, or a part of itself")
        if size > largest:
            raise TooMuch("grows too large with all its aliases written out")
        waiting += [(part, depth + 1) for part in _parts(one)]
    return value


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, (list, tuple, set)) else ()
