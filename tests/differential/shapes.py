"""The shape of JSON: which keys, nulls and types stand where, and the few values that the model does not decide.
Used by `tests.differential.compare` for whole answers and for the chunks of a stream.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

# Values that are part of the API; all other strings and numbers are the model's, or the clock's.
EXACT = frozenset(
    {
        *("object", "role", "type", "param", "code", "model", "owned_by", "root", "parent", "name", "status", "detail"),
        *("finish_reason", "stop_reason", "reason", "tool_choice", "truncation", "service_tier", "encoding_format"),
        *("error", "version", "level", "phase", "index", "max_model_len", "count", "prompt_tokens", "input_tokens"),
        *("original_input_tokens", "server_load", "aborted", "world_size", "prompt_token_ids"),
    }
)
TEXTS = frozenset({"message"})  # for people: compared as advice
# Where the model's text decides how many there are.
FREE_LENGTHS = frozenset(
    {
        *("token_ids", "tokens", "token_logprobs", "text_offset", "bytes", "content", "tool_calls", "output"),
        *("output_token_ids", "sampled_token_ids", "logprobs", "summary", "annotations"),
    }
)
# Objects whose keys are tokens.
MAPS = frozenset({"top_logprobs", "prompt_logprobs"})
# How a text ended is the model's doing as well.
ENDS = frozenset({"stop", "length"})
_ID = re.compile(r"(?:^|_)id$|^system_fingerprint$")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8,}(?![0-9A-Za-z])")
_RANDOM = re.compile(r"(?<![0-9A-Za-z])(?=[A-Za-z]*[0-9])[0-9A-Za-z]{12,}(?![0-9A-Za-z])")


@dataclass(slots=True)
class Seen:
    """What was found at one path, over all elements of the lists above it."""

    count: int = 0
    objects: int = 0
    types: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    lengths: set[int] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)


Shape = dict[str, Seen]


def shape_of(documents: Iterable[Any], *, exact: bool = False) -> Shape:
    """With `exact` every value counts but ids: nothing in these documents is the model's."""
    shape: Shape = {}
    for document in documents:
        _walk(shape, document, "", "", exact=exact)
    return shape


def _walk(shape: Shape, value: Any, path: str, key: str, *, exact: bool) -> None:
    seen = shape.setdefault(path, Seen())
    seen.count += 1
    if isinstance(value, dict):
        seen.types.add("object")
        seen.objects += 1
        mapped = key in MAPS and "token" not in value
        seen.keys = seen.keys or ([] if mapped else list(value))
        for name, inner in value.items():
            _walk(shape, inner, f"{path}.{'*' if mapped else name}".lstrip("."), "" if mapped else name, exact=exact)
    elif isinstance(value, list):
        seen.types.add("list")
        if (exact or key in EXACT) and not any(isinstance(item, dict | list) for item in value):
            seen.values.add(json.dumps(value))
            return
        if key not in FREE_LENGTHS and not path.endswith("logprobs.top_logprobs"):
            seen.lengths.add(len(value))
        for item in value:
            _walk(shape, item, f"{path}[]", key, exact=exact)
    else:
        seen.types.add(_type(value))
        if isinstance(value, str) and _ID.search(key):
            seen.values.add(form(value))
        elif key in TEXTS:
            seen.texts.add(str(value))
        elif value is not None and (exact or key in EXACT or isinstance(value, bool)):
            seen.values.add("|".join(sorted(ENDS)) if value in ENDS else json.dumps(value))


def form(text: str) -> str:
    """An id without what is made up anew each time."""
    for pattern, name in ((_UUID, "uuid"), (_HEX, "hex"), (_RANDOM, "alnum")):
        text = pattern.sub(lambda found, name=name: f"<{name}{len(found[0])}>", text)  # type: ignore[misc]
    return text


def differences(ours: Shape, theirs: Shape, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(where, kind, ours, theirs), the outermost only of what is missing or too much."""
    silent: list[str] = []
    for path in sorted({*ours, *theirs}):
        if any(path.startswith((f"{one}.", f"{one}[")) or one == "" for one in silent):
            continue
        here, there = ours.get(path), theirs.get(path)
        where = f"{prefix}.{path}".strip(".") or "$"
        if here is None or there is None:
            silent.append(path)
            if not path.endswith("[]"):  # an empty list: its length says it
                yield where, "missing" if here is None else "extra", _types(here), _types(there)
            continue
        if here.types != there.types:
            if not (here.types & there.types & {"object", "list"}):
                silent.append(path)
            yield where, "type", _types(here), _types(there)
            continue
        yield from ((where, *rest) for rest in _closer(here, there, ours, theirs, path))


def _closer(here: Seen, there: Seen, ours: Shape, theirs: Shape, path: str) -> Iterator[tuple[str, str, str]]:
    if here.values != there.values:
        yield "value", _listed(here.values), _listed(there.values)
    if here.lengths != there.lengths:
        yield "length", _listed(map(str, here.lengths)), _listed(map(str, there.lengths))
    if here.texts != there.texts:
        yield "text", _listed(here.texts), _listed(there.texts)
    if (mine := _always(ours, path)) != (other := _always(theirs, path)):
        yield "presence", "always" if mine else "at times", "always" if other else "at times"
    common = [key for key in here.keys if key in there.keys]
    if common != (order := [key for key in there.keys if key in here.keys]):
        yield "order", " ".join(common), " ".join(order)


def _always(shape: Shape, path: str) -> bool:
    if not path or path.endswith(("[]", "*")):
        return True
    parent, dot, _ = path.rpartition(".")
    return shape[path].count == shape[parent if dot else ""].objects


def _types(seen: Seen | None) -> str:
    return "-" if seen is None else _listed(seen.types)


def _listed(values: Iterable[str]) -> str:
    return " or ".join(sorted(values)) or "-"


def _type(value: Any) -> str:
    if value is None:
        return "null"
    return {bool: "boolean", int: "integer", float: "float", str: "string"}[type(value)]
