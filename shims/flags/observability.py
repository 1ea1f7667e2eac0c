"""Metrics, traces, profiles and the watchdog. They watch the engine and change no answer.
`flags` puts these records into the table; `logs` has the logs.
"""

from __future__ import annotations

import math
from typing import Any

from shims.flags.draft import Draft
from shims.flags.histograms import buckets
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, ours, refused, rename, same
from shims.values.whole import A_DAY, whole

SGLANG_WATCHDOG = 300  # seconds: SGLang 0.5.23's own --watchdog-timeout
TRAINED_WATCHDOG = A_DAY
PAUSES = "SGLang 0.5.23 takes a pause with requests in flight for a stall, and would end itself; we report stalls"
WATCHDOG_KEYS = ("timeout", "check_interval", "dump_dir")
PROFILERS = ("torch", "cuda", "proton")
NO_SUCH_METRICS = "SGLang has no such metrics"
OLDER_NAMES = "/metrics has the older names beside today's"
NO_JIT_MONITOR = "SGLang does not watch its compilers"
DETAILS = "SGLang's spans hold their times in any case"
# vLLM 0.33.0 serves none of its own metrics then; one who scales by them must not lose them here.
STATS_STAY = "/metrics stays full, for scalers and dashboards; --log-level WARNING ends SGLang's lines about batches"


def hidden_metrics(_draft: Draft, _value: str) -> Outcome:
    return Outcome("ours", OLDER_NAMES, "whatever the version: dashboards of any age find theirs")


def most_running(draft: Draft) -> int:
    """How many requests SGLang runs at once, whoever has said so; 0 where it is left to it."""
    return whole(draft.engine_value("--max-running-requests")) or 0


def watchdog_seconds(draft: Draft) -> int:
    """How long SGLang may be without progress before it ends itself."""
    seconds = float(draft.engine_value("--watchdog-timeout") or SGLANG_WATCHDOG)
    if seconds == TRAINED_WATCHDOG:
        return SGLANG_WATCHDOG  # Ours, for the sake of pauses, which we do not take for stalls.
    return math.ceil(min(seconds, A_DAY)) if seconds > 0 else SGLANG_WATCHDOG


def complete(draft: Draft) -> None:
    """Where a trainer may pause the engine, and load weights for as long as it takes."""
    if draft.policy.dev_mode or draft.env.get("VLLM_SHIM_RL") == "1":
        draft.add("--watchdog-timeout", TRAINED_WATCHDOG, why=PAUSES)


def traces_endpoint(draft: Draft, value: str) -> Outcome:
    """As it is: SGLang 0.5.23 gives it to the same exporter as vLLM, for which `https` means TLS, and which speaks
    HTTP where OTEL_EXPORTER_OTLP_TRACES_PROTOCOL says so."""
    if any(character.isspace() for character in value) or not value.isprintable():
        return invalid(f"{value!r} is not an address: give one such as http://collector:4317")
    return draft.emit_all(("--enable-trace",), ("--otlp-traces-endpoint", value), note="spans are SGLang's, not vLLM's")


def detailed_traces(draft: Draft, value: list[str]) -> Outcome:
    if not draft.given("--otlp-traces-endpoint"):
        return invalid("vLLM wants --otlp-traces-endpoint as well: give both")
    return dropped(DETAILS)


def profiler(draft: Draft, value: Any) -> Outcome:
    """SGLang's profiler takes all but the folder from the request that starts it."""
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"profiler": "torch", "torch_profiler_dir": "/profiles"}')
    kind, folder = value.get("profiler"), value.get("torch_profiler_dir", "")
    if kind is None:
        return (
            already("it names no profiler") if not folder else invalid("torch_profiler_dir is for the torch profiler")
        )
    if kind not in PROFILERS:
        return invalid(f"profiler {kind!r} is none of {', '.join(PROFILERS)}")
    draft.ask(profiler=True)
    if kind != "torch":
        return Outcome("ours", "/start_profile and /stop_profile", f"SGLang's torch profiler, for it has no {kind} one")
    if not isinstance(folder, str) or not folder:
        return invalid("torch_profiler_dir is missing: name the folder for the traces")
    if "://" in folder:
        return refused(f"torch_profiler_dir {folder!r} is no folder: SGLang writes its traces to a disk")
    others = sorted(set(value) - {"profiler", "torch_profiler_dir"})
    note = "/start_profile and /stop_profile are served" + (f", without {', '.join(others)}" if others else "")
    return draft.set_env("SGLANG_TORCH_PROFILER_DIR", folder, note)


def watchdog(draft: Draft, value: Any) -> Outcome:
    """vLLM 0.33.0 dumps the stacks of a stuck process, if it has a folder to, and lets it live. In SGLang 0.5.23
    that is the soft watchdog; --watchdog-timeout is another, which kills."""
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"timeout": 300, "dump_dir": "/dumps"}')
    if unknown := sorted(set(value) - set(WATCHDOG_KEYS)):
        return invalid(f"it has no {unknown[0]!r}: it has {', '.join(WATCHDOG_KEYS)}")
    timeout = value.get("timeout", 300)
    for name, seconds in (("timeout", timeout), ("check_interval", value.get("check_interval", 10))):
        if type(seconds) is not int or not 0 < seconds < 1 << 31:
            return invalid(f"{name} {seconds!r:.30} is not a number of seconds above 0")
    if not value.get("dump_dir"):
        return already("without dump_dir vLLM's watchdog is off")
    return draft.emit("--soft-watchdog-timeout", timeout, note="the stacks go to SGLang's log, not to dump_dir")


FLAGS: tuple[Flag, ...] = (
    drop("--disable-log-stats", STATS_STAY),
    drop("--aggregate-engine-logging", "one SGLang writes one log"),
    convert("--otlp-traces-endpoint", traces_endpoint, to="--enable-trace --otlp-traces-endpoint"),
    Flag("--collect-detailed-traces", "drop", why=DETAILS, convert=detailed_traces),
    ours("--show-hidden-metrics-for-version", hidden_metrics, to=OLDER_NAMES),
    same("--enable-mfu-metrics"),
    drop("--kv-cache-metrics", NO_SUCH_METRICS),
    drop("--kv-cache-metrics-sample", NO_SUCH_METRICS),
    convert("--custom-histogram-buckets", buckets, to="--bucket-... and --...-tokens-buckets"),
    drop("--cudagraph-metrics", NO_SUCH_METRICS),
    rename("--enable-layerwise-nvtx-tracing", "--enable-layerwise-nvtx-marker"),
    drop("--enable-logging-iteration-details", "SGLang logs its batches in a form of its own"),
    drop("--jit-monitor-mode", NO_JIT_MONITOR),
    drop("--jit-monitor-verbose", NO_JIT_MONITOR),
    convert("--profiler-config", profiler, to="SGLANG_TORCH_PROFILER_DIR; the middleware answers /start_profile"),
    convert("--watchdog-config", watchdog, to="--soft-watchdog-timeout"),
    drop("--fail-on-environ-validation", "every VLLM_ variable has its own line in the report of the start"),
)
