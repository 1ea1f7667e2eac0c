"""Chat templates, tool calls, reasoning, images: how a conversation becomes a prompt, and an answer a message."""

from __future__ import annotations

import json
from typing import Any

from shims.flags.draft import Draft, PlanFile
from shims.flags.record import Flag, Outcome, convert, drop, refused, same, vocabulary
from shims.values.parsers import REASONING, TOOL_CALL

JINJA_MARKS = "{}\n"  # vLLM's own test: a template that is no file must hold one of these
RENDERED_TEMPLATE = "chat_template.jinja"


def chat_template(draft: Draft, value: str) -> Outcome:
    """SGLang 0.5.23 reads only *.jinja as Jinja (other files as JSON), takes the names of its built-in
    conversations first, and takes no inline template."""
    if any(mark in value for mark in JINJA_MARKS):
        draft.files.append(PlanFile(RENDERED_TEMPLATE, text=value))
        note = "the inline template becomes a file"
    elif value.endswith(".jinja") and "/" in value:
        return draft.emit("--chat-template", value, action="same")
    else:
        draft.files.append(PlanFile(RENDERED_TEMPLATE, source=value))
        note = f"a copy of {value}: SGLang reads only *.jinja as Jinja"
    return draft.emit("--chat-template", f"{draft.facts.run_dir}/{RENDERED_TEMPLATE}", note=note)


def limit_mm_per_prompt(draft: Draft, value: Any) -> Outcome:
    """`{"image": 2}`, or vLLM 0.33.0's longer form `{"image": {"count": 2, ...}}`."""
    counts: dict[str, int] = {}
    for kind, limit in value.items() if isinstance(value, dict) else ():
        count = limit.get("count") if isinstance(limit, dict) else limit
        if not isinstance(count, int):
            return refused(f"the limit of '{kind}' is not a number: {json.dumps(limit)}")
        counts[kind] = count
    if not counts:
        return refused('give a JSON object such as {"image": 2}')
    return draft.emit("--limit-mm-data-per-request", json.dumps(counts, separators=(",", ":")))


FLAGS: tuple[Flag, ...] = (
    convert("--chat-template", chat_template),
    convert("--tool-call-parser", vocabulary("--tool-call-parser", TOOL_CALL, "tool-call parser")),
    convert("--reasoning-parser", vocabulary("--reasoning-parser", REASONING, "reasoning parser")),
    drop("--enable-auto-tool-choice", "in SGLang the tool-call parser alone enables it"),
    convert("--limit-mm-per-prompt", limit_mm_per_prompt),
    same("--allowed-media-domains"),
)
