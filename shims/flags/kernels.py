"""Graphs and compilation: what changes speed and never results."""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, convert, drop, dropped


def enforce_eager(draft: Draft, value: bool) -> Outcome:
    if not value:
        return dropped("graphs are on by default in SGLang")
    return draft.emit_all(("--cuda-graph-backend-decode", "disabled"), ("--cuda-graph-backend-prefill", "disabled"))


FLAGS: tuple[Flag, ...] = (
    convert("--enforce-eager", enforce_eager),
    drop("--compilation-config", "it tunes vLLM's torch.compile; SGLang captures its own graphs (speed only)"),
)
