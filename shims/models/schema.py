"""docs/models.schema.json, for editors that complete and check while one writes: made from the table of `keys`.
`shims.document` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from shims.models import keys
from shims.models.keys import Key

EITHER = (
    {"required": ["serve"], "not": {"required": ["cmd"]}},
    {"required": ["cmd", "name"], "not": {"required": ["serve"]}},
)


def schema() -> str:
    model = {**_object(keys.MODEL), "oneOf": EITHER}
    model["properties"]["limits"] = {**_object(keys.LIMITS), **_about("limits")}
    top = _object(keys.TOP)
    top["properties"]["models"] |= {"type": "array", "minItems": 1, "items": model}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Models of one vllm-to-sglang server: vllm serve --shim-models FILE",
        **top,
        "required": ["models"],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _object(table: Sequence[Key]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {key.name: _property(key) for key in table}}


def _property(key: Key) -> dict[str, Any]:
    default = {} if key.default is None or key.default in ({}, ()) else {"default": key.default}
    return {"description": key.why, **key.kind.schema, **default}


def _about(name: str) -> dict[str, Any]:
    return {"description": next(key.why for key in keys.MODEL if key.name == name)}
