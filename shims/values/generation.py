"""The sampling parameters that vLLM 0.33.0 takes from a generation_config.json, as the defaults of requests.
`shims.flags.sampling` reads the model's, a folder's or the command line's with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shims.values.shapes import is_count, is_finite

NUMBERS = ("repetition_penalty", "presence_penalty", "frequency_penalty", "temperature", "top_p", "min_p")
LENGTH = "max_new_tokens"
KEYS = (*NUMBERS, "top_k", LENGTH, "skip_special_tokens")
# What `null` means for a parameter that SGLang would otherwise take from the model by itself.
NEUTRAL: dict[str, Any] = {"repetition_penalty": 1.0, "temperature": 1.0, "top_p": 1.0, "min_p": 0.0, "top_k": -1}
# What a request gets anyway: it must not be edited for these.
SILENT: dict[str, tuple[Any, ...]] = {
    **{key: (value,) for key, value in NEUTRAL.items()},
    "top_k": (0, -1),
    "presence_penalty": (0.0,),
    "frequency_penalty": (0.0,),
    "skip_special_tokens": (True,),
    LENGTH: (),
}


def is_valid(key: str, value: object) -> bool:
    if key == "skip_special_tokens":
        return isinstance(value, bool)
    if key == "top_k":
        return is_count(value, -1)
    return is_count(value) if key == LENGTH else is_finite(value)


def defaults(config: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """By the names of a request's fields; what is no value is left out."""
    found = {key: config[key] for key in KEYS if is_valid(key, config.get(key)) and config[key] not in SILENT[key]}
    for key in KEYS:
        if key in override and override[key] is None:
            found.pop(key, None)
            if key in NEUTRAL:
                found[key] = NEUTRAL[key]
        elif is_valid(key, override.get(key)):
            found[key] = override[key]
    if LENGTH in found:
        found["max_tokens"] = found.pop(LENGTH)
    return found
