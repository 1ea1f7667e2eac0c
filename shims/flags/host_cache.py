"""The KV cache in the host's memory: SGLang's HiCache stands for every way in which vLLM offloads it. `kv_transfer`
calls `emit` once it has read how much.

SGLang 0.5.23 counts whole GB for each rank, vLLM all ranks of a replica together.
"""

from __future__ import annotations

import math

from shims.flags import world
from shims.flags.draft import Draft
from shims.flags.record import Outcome, invalid

GIB = 1 << 30
HUGE_GIB = 1 << 20


def emit(draft: Draft, gib: float, note: str = "") -> Outcome:
    if not 0 < gib < HUGE_GIB:
        return invalid(f"{gib} is not a number of GiB")
    each = max(1, round(gib / _ranks(draft)))
    notes = [f"{_digits(gib)} GiB of host memory as SGLang's HiCache; it is per GPU rank in SGLang", note]
    return _with_radix_cache(draft, ("--hicache-size", each), notes)


def by_ratio(draft: Draft, note: str) -> Outcome:
    """Where nobody said how much: SGLang makes it twice the GPU's own cache, as far as the host's memory goes."""
    return _with_radix_cache(draft, None, [note])


def keep_radix_cache(draft: Draft) -> str:
    """SGLang 0.5.23 refuses a host cache without its radix cache, and LMCache reuses prefixes in either case."""
    draft.engine_args.pop("--disable-radix-cache", None)
    if draft.given("--enable-prefix-caching") is False:
        return "prefix caching stays on for it, though --no-enable-prefix-caching was given"
    return ""


def _with_radix_cache(draft: Draft, size: tuple[str, int] | None, notes: list[str]) -> Outcome:
    kept = keep_radix_cache(draft)
    flags: list[tuple[object, ...]] = [("--enable-hierarchical-cache",)]
    return draft.emit_all(*flags, *([size] if size else []), note="; ".join(filter(None, (*notes, kept))))


def _ranks(draft: Draft) -> int:
    size = world.of(draft)
    return size.tensor * size.pipeline * size.prefill_context


def _digits(gib: float) -> str:
    return str(math.floor(gib)) if gib == math.floor(gib) else f"{gib:.2f}"
