"""Adapters. They are loaded at run time by request, so SGLang must know rank and target modules at the start."""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, convert, dropped, rename

DEFAULT_RANK = 16  # vLLM 0.33.0's --max-lora-rank
NOT_ENABLED = "without --enable-lora it has no effect, as in vLLM"


def enable_lora(draft: Draft, value: bool) -> Outcome:
    """SGLang 0.5.23 asserts both --max-lora-rank and --lora-target-modules where no adapter is named at the start."""
    if not value:
        return dropped("off by default in SGLang")
    outcome = draft.emit("--enable-lora")
    draft.add("--lora-target-modules", "all", why="SGLang must know before the first adapter arrives")
    if draft.given("--max-lora-rank") is None:
        draft.add("--max-lora-rank", DEFAULT_RANK, why="vLLM's default")
    return outcome


def max_loras(draft: Draft, value: int) -> Outcome:
    if not draft.given("--enable-lora"):
        return dropped(NOT_ENABLED)
    return draft.emit("--max-loras-per-batch", value + 1, note="SGLang counts requests without an adapter as one more")


def max_lora_rank(draft: Draft, value: int) -> Outcome:
    if not draft.given("--enable-lora"):
        return dropped(NOT_ENABLED)
    return draft.emit("--max-lora-rank", value, action="same")


FLAGS: tuple[Flag, ...] = (
    convert("--enable-lora", enable_lora),
    convert("--max-loras", max_loras),
    convert("--max-lora-rank", max_lora_rank),
    rename("--max-cpu-loras", "--max-loaded-loras"),
)
