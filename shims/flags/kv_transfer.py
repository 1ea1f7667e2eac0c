"""`--kv-transfer-config`: the stack's LMCache offloading becomes SGLang's own host cache (HiCache), every role of a
prefill/decode split is refused.
"""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, convert, dropped, refused

OFFLOADING = ("LMCacheConnectorV1", "LMCacheConnector", "OffloadingConnector")
DEFAULT_GIB = 5  # LMCache's own default for max_local_cpu_size


def kv_transfer_config(draft: Draft, value: Any) -> Outcome:
    connector = value.get("kv_connector") if isinstance(value, dict) else None
    role = value.get("kv_role") if isinstance(value, dict) else None
    if connector is None:
        return dropped("it names no connector")
    if role != "kv_both":
        return refused(
            f"kv_role {role}: a prefill/decode split speaks another protocol in SGLang; run the model whole"
            " (kv_both, or no --kv-transfer-config)"
        )
    if connector not in OFFLOADING:
        return refused(f"kv_connector {connector} has no counterpart in SGLang; accepted: {', '.join(OFFLOADING)}")
    return _host_cache(draft)


def _host_cache(draft: Draft) -> Outcome:
    if draft.env.get("LMCACHE_LOCAL_CPU", "True").lower() in ("false", "0"):
        return dropped("LMCACHE_LOCAL_CPU is off and SGLang reads no LMCache server: nothing is offloaded")
    size = draft.env.get("LMCACHE_MAX_LOCAL_CPU_SIZE", str(DEFAULT_GIB))
    try:
        gib = max(1, round(float(size) / max(1, draft.given("--tensor-parallel-size", 1))))
    except (ValueError, OverflowError):
        return refused(f"LMCACHE_MAX_LOCAL_CPU_SIZE is '{size}': give a number of GiB")
    note = f"{size} GiB of host memory as SGLang's HiCache; it is per GPU rank in SGLang"
    if draft.given("--enable-prefix-caching") is False:
        # SGLang 0.5.23 refuses HiCache without its radix cache, and LMCache reuses prefixes in either case.
        draft.engine_args.pop("--disable-radix-cache", None)
        note += "; prefix caching stays on for it, though --no-enable-prefix-caching was given"
    return draft.emit_all(("--enable-hierarchical-cache",), ("--hicache-size", gib), note=note)


FLAGS: tuple[Flag, ...] = (convert("--kv-transfer-config", kv_transfer_config),)
