"""Whole numbers in the environment and in SGLang's flags, where they are texts still. Called by `settings`, `ports` and
converters of `flags`.
"""

from __future__ import annotations

DIGITS = 9  # int() raises for thousands of them
A_DAY = 24 * 60 * 60  # seconds: no wait is longer


def whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= DIGITS else None
