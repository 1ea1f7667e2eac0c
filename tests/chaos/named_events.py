"""Streams whose events have names: Anthropic's messages, and responses. `answers` asks what has come of one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

WHOLE = frozenset({"message_stop", "response.completed"})
BROKEN = frozenset({"error", "response.failed"})


@dataclass(frozen=True)
class Told:
    text: str
    whole: bool  # or else broken, as its last event says
    message: str
    odd: str = ""


def told(body: str) -> Told:
    events: list[dict[str, Any]] = []
    for block in body.removesuffix("\n\n").split("\n\n"):
        name, _, data = block.strip("\n").partition("\n")
        event = json.loads(data.removeprefix("data: "))
        if name != f"event: {event['type']}":
            return Told("", whole=False, message="", odd=f"{name!r} before {event['type']!r}")
        events.append(event)
    kinds = [event["type"] for event in events]
    ends = [kind for kind in kinds if kind in WHOLE | BROKEN]
    odd = "" if len(ends) == 1 and kinds[-1] in ends else f"ends with {kinds[-3:]}"
    error = events[-1].get("error") or events[-1].get("response", {}).get("error") or {}
    return Told("".join(map(_text, events)), kinds[-1] in WHOLE, str(error.get("message", "")), odd)


def _text(event: dict[str, Any]) -> str:
    if event["type"] == "content_block_delta":
        return str(event["delta"].get("text", ""))
    return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""
