"""What a JSON value of the command line is, asked before it is used: Python's own tests take `true` for a number and
let `NaN` through. The converters of `shims.flags` call these.
"""

from __future__ import annotations

import json
import math
from typing import Any, TypeGuard


def is_count(value: object, least: int = 1) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_finite(value: object) -> TypeGuard[float]:
    """Of an integer that is too large for a float, too: it would become infinite in arithmetic."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def odd_keys(document: dict[str, Any], known: object) -> str:
    """The keys that are not known, for a message; empty if there are none."""
    return ", ".join(repr(key) for key in document if key not in known)  # type: ignore[operator]
