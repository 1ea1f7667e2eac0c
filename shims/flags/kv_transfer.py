"""`--kv-transfer-config`: the stack's LMCache offloading and vLLM's own become SGLang's host cache (HiCache), every
role of a prefill/decode split is refused. Also the offloading flags and KV cache events.

SGLang 0.5.23 has no LMCache inside: its `--enable-lmcache` speaks to a daemon (`lmcache server`), as vLLM's
LMCacheMPConnector does, and not to the cache server behind LMCACHE_REMOTE_URL.
"""

from __future__ import annotations

import json
import math
from typing import Any

from shims.catalog import catalogs
from shims.flags import host_cache, world
from shims.flags.draft import Draft, PlanFile
from shims.flags.record import Flag, Outcome, convert, dropped, invalid, refused

IN_PROCESS = ("LMCacheConnectorV1", "LMCacheConnector")
OFFLOADING = ("OffloadingConnector", "SimpleCPUOffloadConnector")
DAEMON = "LMCacheMPConnector"
ACCEPTED = (*IN_PROCESS, *OFFLOADING, DAEMON)
OTHER_WAYS = {
    "FlexKVConnectorV1": "SGLang's own is --enable-flexkv",
    "HF3FSKVConnector": "SGLang's own is --enable-hierarchical-cache --hicache-storage-backend hf3fs",
    "MooncakeStoreConnector": "SGLang's own is --enable-hierarchical-cache --hicache-storage-backend mooncake",
    "MultiConnector": "give one connector",
}
ROLES = ("kv_producer", "kv_consumer", "kv_both")
KEYS = (
    "enable_permute_local_kv",
    "engine_id",
    "kv_buffer_device",
    "kv_buffer_size",
    "kv_connector",
    "kv_connector_extra_config",
    "kv_connector_module_path",
    "kv_ip",
    "kv_load_failure_policy",
    "kv_parallel_size",
    "kv_port",
    "kv_rank",
    "kv_role",
)
DEFAULT_GIB = 5  # LMCache's own default for max_local_cpu_size
SIMPLE_GIB = 8  # vLLM 0.33.0's SimpleCPUOffloadConnector
LARGEST = host_cache.HUGE_GIB * host_cache.GIB
DAEMON_HOST, DAEMON_PORT = "localhost", 5555  # vLLM 0.33.0's LMCacheMPConnector
DAEMON_FILE = "lmcache.yaml"


def kv_transfer_config(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return invalid(f'give a JSON object such as {{"kv_connector": "LMCacheConnectorV1"}}, not {value!r:.60}')
    if unknown := sorted(set(value) - set(KEYS)):
        return invalid(f"vLLM has no {', '.join(unknown)} in it; it has {', '.join(KEYS)}")
    connector, role = value.get("kv_connector"), value.get("kv_role")
    extra = value.get("kv_connector_extra_config") or {}
    if not isinstance(extra, dict):
        return invalid(f"kv_connector_extra_config is no JSON object: {extra!r:.60}")
    if draft.given("--kv-offloading-size") is not None:
        return dropped("--kv-offloading-size takes the connector's place, as in vLLM")
    if connector is None:
        return dropped("it names no connector")
    if role not in ROLES:
        return invalid(f"kv_role is {role!r:.60}; vLLM has {', '.join(ROLES)}")
    if role != "kv_both":
        return refused(
            f"kv_role {role}: a prefill/decode split speaks another protocol in SGLang; run the model whole"
            " (kv_both, or no --kv-transfer-config)"
        )
    if connector not in ACCEPTED or value.get("kv_connector_module_path"):
        hint = OTHER_WAYS.get(connector, "") if isinstance(connector, str) else ""
        return refused(
            f"kv_connector {connector!s:.60} has no counterpart in SGLang; accepted: {', '.join(ACCEPTED)}"
            + (f"; {hint}" if hint else "")
        )
    if connector in IN_PROCESS:
        return _lmcache(draft, extra)
    return _daemon(draft, extra) if connector == DAEMON else _offloading(draft, connector, extra)


def _lmcache(draft: Draft, extra: dict[str, Any]) -> Outcome:
    """What LMCache reads inside vLLM: its variables; its file is not ours to read."""
    if draft.env.get("LMCACHE_REMOTE_URL"):
        draft.warnings.append("LMCACHE_REMOTE_URL: SGLang reads no LMCache server; only host memory is used")
    if draft.env.get("LMCACHE_CONFIG_FILE") and "LMCACHE_MAX_LOCAL_CPU_SIZE" not in draft.env:
        draft.warnings.append(
            f"LMCACHE_CONFIG_FILE is not read: the host cache has {DEFAULT_GIB} GiB, or what"
            " LMCACHE_MAX_LOCAL_CPU_SIZE says"
        )
    if draft.env.get("LMCACHE_LOCAL_CPU", "True").lower() in ("false", "0"):
        return dropped("LMCACHE_LOCAL_CPU is off and SGLang reads no LMCache server: nothing is offloaded")
    size = draft.env.get("LMCACHE_MAX_LOCAL_CPU_SIZE", str(DEFAULT_GIB))
    try:
        gib = float(size)
    except ValueError:
        gib = math.nan
    if not math.isfinite(gib) or gib < 0:
        return refused(f"LMCACHE_MAX_LOCAL_CPU_SIZE is '{size}': give a number of GiB")
    if gib == 0:
        return dropped("LMCACHE_MAX_LOCAL_CPU_SIZE is 0: nothing is offloaded")
    return host_cache.emit(draft, gib, _left(extra, ()))


def _offloading(draft: Draft, connector: str, extra: dict[str, Any]) -> Outcome:
    key, each = "cpu_bytes_to_use", "cpu_bytes_to_use_per_rank"
    size = world.of(draft)
    ranks = size.tensor * size.pipeline * size.prefill_context
    default = SIMPLE_GIB * host_cache.GIB if connector == "SimpleCPUOffloadConnector" else None
    amount = extra[each] * ranks if isinstance(extra.get(each), int) else extra.get(key, default)
    if amount is None and "num_cpu_blocks" in extra:  # vLLM 0.11.0
        return host_cache.by_ratio(draft, "num_cpu_blocks is not read: the host cache is twice the GPU's")
    if not isinstance(amount, int | float) or isinstance(amount, bool) or not 0 < amount < LARGEST:
        return invalid(f"{key} in kv_connector_extra_config is {amount!r:.60}: give a number of bytes")
    return host_cache.emit(draft, amount / host_cache.GIB, _left(extra, (key, each)))


def _daemon(draft: Draft, extra: dict[str, Any]) -> Outcome:
    """SGLang 0.5.23 raises for it with attention DP and with context parallelism."""
    size = world.of(draft)
    if "lmcache" not in (catalogs()[1].importable or ()):
        return refused(
            "this SGLang's image holds no lmcache: offload to the host's memory instead"
            " (LMCacheConnectorV1, or --kv-offloading-size)"
        )
    if size.attention_groups > 1 or draft.given("--decode-context-parallel-size", 1) > 1:
        return refused("SGLang has LMCache for one attention group and no context parallelism only; leave it out")
    host, port = extra.get("lmcache.mp.host", DAEMON_HOST), extra.get("lmcache.mp.port", DAEMON_PORT)
    if not isinstance(host, str) or not host or not str(port).isdecimal():
        return invalid(f"lmcache.mp.host and lmcache.mp.port are {host!r:.60} and {port!r:.60}: give a host and a port")
    kept = host_cache.keep_radix_cache(draft)
    place = {"mp_host": host.rpartition("//")[2], "mp_port": int(port)}
    draft.files.append(PlanFile(DAEMON_FILE, text=json.dumps(place) + "\n"))  # JSON is YAML too
    return draft.emit_all(
        ("--enable-lmcache",),
        ("--lmcache-config-file", f"{draft.facts.run_dir}/{DAEMON_FILE}"),
        note="; ".join(filter(None, (kept, _left(extra, ("lmcache.mp.host", "lmcache.mp.port"))))),
    )


def kv_offloading_size(draft: Draft, value: float) -> Outcome:
    if draft.given("--kv-offloading-backend") == "lmcache":  # the daemon says how much it holds
        return _daemon(draft, {})
    return host_cache.emit(draft, value)


def kv_offloading_backend(draft: Draft, value: str) -> Outcome:
    if draft.given("--kv-offloading-size") is None:
        return dropped("without --kv-offloading-size nothing is offloaded, as in vLLM")
    return Outcome("convert", "--enable-lmcache" if value == "lmcache" else "--enable-hierarchical-cache")


def _left(extra: dict[str, Any], read: tuple[str, ...]) -> str:
    left = sorted(str(key) for key in extra if key not in read)
    return f"left out, reuse only: {', '.join(left)}" if left else ""


FLAGS: tuple[Flag, ...] = (
    convert("--kv-transfer-config", kv_transfer_config, to="--enable-hierarchical-cache --hicache-size"),
    convert("--kv-offloading-size", kv_offloading_size, to="--enable-hierarchical-cache --hicache-size"),
    convert("--kv-offloading-backend", kv_offloading_backend, to="--enable-hierarchical-cache or --enable-lmcache"),
)
