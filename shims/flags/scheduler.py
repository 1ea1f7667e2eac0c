"""How many requests and tokens a step holds."""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, convert, dropped, rename


def max_num_batched_tokens(draft: Draft, value: int) -> Outcome:
    if draft.given("--enable-chunked-prefill") is False:
        return draft.emit("--max-prefill-tokens", value)
    return draft.emit_all(("--chunked-prefill-size", value), ("--max-prefill-tokens", value))


def chunked_prefill(draft: Draft, value: bool) -> Outcome:
    return dropped("on by default in SGLang") if value else draft.emit("--chunked-prefill-size", -1)


FLAGS: tuple[Flag, ...] = (
    rename("--max-num-seqs", "--max-running-requests"),
    convert("--max-num-batched-tokens", max_num_batched_tokens),
    convert("--enable-chunked-prefill", chunked_prefill),
)
