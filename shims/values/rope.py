"""Rotary embeddings in overrides of the model's configuration: vLLM takes the older spellings, SGLang 0.5.23 reads
`rope_theta` and `type` beside transformers 5 and does nothing with them. `shims.flags.overrides` calls this.
"""

from __future__ import annotations

from typing import Any

from shims.values.shapes import is_finite

DOCUMENTS = ("rope_parameters", "rope_scaling")


def modernised(overrides: dict[str, Any]) -> dict[str, Any]:
    """The same overrides, spelled so that SGLang follows them; parts such as `text_config` too."""
    found = {
        key: modernised(v) if isinstance(v, dict) and key.endswith("_config") else v for key, v in overrides.items()
    }
    for name in DOCUMENTS:
        if isinstance(document := found.get(name), dict) and _is_one(document):
            found[name] = _with_both_types(document)
    if is_finite(theta := found.get("rope_theta")):
        name = next((name for name in DOCUMENTS if isinstance(found.get(name), dict)), "rope_parameters")
        found[name] = {"rope_theta": theta, **(found.get(name) or {})}
    return found


def longest(overrides: dict[str, Any]) -> float:
    """The context that a stretched model reaches; 0 where the overrides stretch nothing."""
    found = [longest(value) for key, value in overrides.items() if isinstance(value, dict) and key.endswith("_config")]
    for name in DOCUMENTS:
        if isinstance(document := overrides.get(name), dict):
            factor, original = document.get("factor"), document.get("original_max_position_embeddings")
            if is_finite(factor) and is_finite(original):
                found.append(factor * original)
    return max(found, default=0)


def lost_theta(overrides: dict[str, Any]) -> str:
    """The part, such as `text_config`, in which a lone `rope_theta` stands: SGLang replaces a part's `rope_parameters`
    as a whole, so that nothing can be merged into it."""
    for key, value in overrides.items():
        if isinstance(value, dict) and key.endswith("_config"):
            if "rope_theta" in value and not any(isinstance(value.get(name), dict) for name in DOCUMENTS):
                return key
            if inner := lost_theta(value):
                return f"{key}.{inner}"
    return ""


def _is_one(document: dict[str, Any]) -> bool:
    """One for all layers, and not one a layer type."""
    return "type" in document or "rope_type" in document


def _with_both_types(document: dict[str, Any]) -> dict[str, Any]:
    kind = document.get("rope_type", document.get("type"))
    return {**document, "rope_type": kind, "type": kind}
