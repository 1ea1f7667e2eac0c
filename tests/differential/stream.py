"""A stream of events as a sequence of kinds of chunks: how many chunks a text comes in is the model's doing.
Used by `tests.differential.compare`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Event:
    label: str
    choice: int | None  # the index of the one choice in it
    document: Any


def events(body: bytes) -> list[Event]:
    found = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        fields = dict(_field(line) for line in block.split(b"\n") if line)
        if "data" in fields:
            found.append(_event(fields.get("event", ""), fields["data"]))
    return found


def sequences(found: list[Event]) -> dict[str, list[str]]:
    """The labels of each choice by itself and, under "", of what belongs to none; runs of one label count once."""
    rows: dict[str, list[str]] = defaultdict(list)
    several = any(event.choice for event in found)
    for event in found:
        key = f"[{event.choice}]" if several and event.choice is not None else ""
        if rows[key][-1:] != [event.label]:
            rows[key].append(event.label)
    return dict(rows)


def labelled(found: list[Event]) -> dict[str, list[Any]]:
    chunks: dict[str, list[Any]] = defaultdict(list)
    for event in found:
        if event.document is not None:
            chunks[event.label].append(event.document)
    return dict(chunks)


def _field(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode(errors="replace").partition(":")
    return name, value.removeprefix(" ")


def _event(name: str, data: str) -> Event:
    if data == DONE:
        return Event(DONE, None, None)
    try:
        document = json.loads(data)
    except ValueError:
        return Event("no JSON", None, None)
    if not isinstance(document, dict):
        return Event("no object", None, document)
    if name or "choices" not in document:
        kind = "error" if "error" in document and not name else name or str(document.get("type", "other"))
        return Event(kind, None, document)
    if not document["choices"]:
        return Event("usage", None, document)
    choice = document["choices"][0]
    return Event("+".join(_parts(choice)) or "nothing", choice.get("index"), document)


def _parts(choice: dict[str, Any]) -> list[str]:
    delta = choice.get("delta") or {}
    calls = delta.get("tool_calls") or []
    text = delta.get("content", choice.get("text"))
    named = any((call.get("function") or {}).get("name") for call in calls)
    found = {
        "role": bool(delta.get("role")),
        "reasoning": bool(delta.get("reasoning") or delta.get("reasoning_content")),
        "text": bool(text),
        "call": named,
        "arguments": bool(calls) and not named,
        "finish": choice.get("finish_reason") is not None,
    }
    return [label for label, there in found.items() if there]
