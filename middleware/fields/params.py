"""vLLM's StructuredOutputsParams, which it shows to a client that asks for no constraint, or for several.
Called by `fields.structured` and `fields.response_format`.
"""

from collections.abc import Mapping
from typing import Any

from middleware.errors import Refused, bad_request

# When nothing is set.
_PARAMS: Mapping[str, object] = {
    "json": None,
    "regex": None,
    "choice": None,
    "grammar": None,
    "json_object": None,
    "disable_any_whitespace": False,
    "disable_additional_properties": False,
    "whitespace_pattern": None,
    "structural_tag": None,
    "_backend": None,
    "_backend_was_auto": False,
}


def no_kind(given: Mapping[str, Any]) -> Refused:
    shown = _shown(given)
    return bad_request(f"You must use one kind of structured outputs constraint but none are specified: {shown}")


def several_kinds(given: Mapping[str, Any]) -> Refused:
    shown = _shown(given)
    return bad_request(
        f"You can only use one kind of structured outputs constraint but multiple are specified: {shown}"
    )


def _shown(given: Mapping[str, Any]) -> dict[str, object]:
    return {name: given.get(name, default) for name, default in _PARAMS.items()}
