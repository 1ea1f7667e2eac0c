"""Logs. The middleware's access log, SGLang's own lines, and requests with their answers.
`flags` puts these records into the table; `observability` has metrics and traces.
"""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, ours, refused

# vLLM's logger has a parent: 0.33.0 with NOTSET logs what Python's root logger does.
LEVELS = {
    "CRITICAL": "critical",
    "ERROR": "error",
    "WARNING": "warning",
    "INFO": "info",
    "DEBUG": "debug",
    "NOTSET": "warning",
}
QUIET = ("critical", "error", "warning")  # of uvicorn's levels: those without a line for each request
OUR_CHECK = "/health"  # asked of SGLang four times a second by the middleware
LOGGING_KEYS = ("log_level", "formatter", "configure_logging", "pylogging_config_file")
OTHER_LOGGERS = "SGLang's loggers have other names; SGLANG_LOGGING_CONFIG_PATH names a file written for them"


def log_requests(draft: Draft, value: bool) -> Outcome:
    """As vLLM at INFO: the parameters, no prompt. `log_outputs` comes later and raises the level."""
    if not value:
        return already("off by default in SGLang, and in vLLM since 0.10")
    return draft.emit_all(("--log-requests",), ("--log-requests-level", 1), note="the parameters, no text")


def log_outputs(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default")
    if not draft.given("--enable-log-requests"):
        return invalid("vLLM wants --enable-log-requests as well: give both")
    if draft.given("--max-log-len") is None:
        return draft.emit("--log-requests-level", 3, note="prompts too: SGLang has no level for answers alone")
    return draft.emit("--log-requests-level", 2, note="prompts too, each text up to 2048 characters")


def max_log_len(draft: Draft, value: int) -> Outcome:
    if draft.given("--enable-log-outputs"):
        return Outcome("convert", "2048 characters of each text", "SGLang's one limit")
    return dropped("no prompt is logged")


def log_level(draft: Draft, value: str) -> Outcome:
    return draft.emit("--log-level", LEVELS[value])


def logging_config(draft: Draft, value: Any) -> Outcome:
    """vLLM 0.33.0: `--log-level` and `--log-config-file` beat their fields in it."""
    if not isinstance(value, dict):
        return invalid(f"give a JSON object with any of {', '.join(LOGGING_KEYS)}")
    if unknown := sorted(set(value) - set(LOGGING_KEYS)):
        return invalid(f"it has no {unknown[0]!r}: it has {', '.join(LOGGING_KEYS)}")
    level, formatter = value.get("log_level", "INFO"), value.get("formatter", "text")
    if not isinstance(level, str) or level not in LEVELS:
        return invalid(f"log_level {level!r} is none of {', '.join(LEVELS)}")
    if formatter not in ("text", "json"):
        return invalid(f"formatter {formatter!r} is neither text nor json")
    lost = []
    if formatter == "json":
        lost.append("log lines are text: SGLang writes JSON for requests only (--log-requests-format json)")
    if value.get("pylogging_config_file"):
        lost.append(f"pylogging_config_file is not read: {OTHER_LOGGERS}")
    draft.warnings += [f"--logging-config: {line}" for line in lost]
    if "log_level" not in value or draft.given("--log-level"):
        return dropped("; ".join(lost) or "nothing in it is for SGLang")
    return draft.emit("--log-level", LEVELS[level], note="; ".join(lost))


def log_config_file(draft: Draft, value: str) -> Outcome:
    draft.warnings.append(f"--log-config-file is not read: {OTHER_LOGGERS}")
    return dropped(OTHER_LOGGERS)


def uvicorn_log_level(draft: Draft, value: str) -> Outcome:
    draft.ask(log_level=value)
    if draft.given("--disable-uvicorn-access-log") and value not in QUIET:
        return Outcome("ours", f"the middleware logs from {value} on", "SGLang's server from warning on")
    return draft.emit("--log-level-http", value, note="the middleware's as well")


def no_access_log(draft: Draft, value: bool) -> Outcome:
    draft.ask(access_log=not value)
    if not value:
        return already("off by default")
    level = draft.given("--uvicorn-log-level")
    if level in QUIET:
        return Outcome("ours", "the middleware writes no access log", f"SGLang's is off at --uvicorn-log-level {level}")
    return draft.emit("--log-level-http", "warning", note="the middleware writes none either")


def no_access_log_for(draft: Draft, value: str) -> Outcome:
    """vLLM 0.33.0 compares whole paths, SGLang 0.5.23 beginnings: `/` would silence all that is SGLang's."""
    paths = list(dict.fromkeys(path.strip() for path in value.split(",") if path.strip()))
    if not paths:
        return already("it names no path")
    if odd := [path for path in paths if any(character.isspace() or not character.isprintable() for character in path)]:
        return refused(f"{odd[0]!r} is not a path")
    draft.ask(access_log_exclude=tuple(paths))
    prefixes = [path for path in paths if path.startswith("/") and path not in ("/", OUR_CHECK)]
    return draft.emit(
        "--uvicorn-access-log-exclude-prefixes", OUR_CHECK, *prefixes, note="exactly these in the middleware's own log"
    )


FLAGS: tuple[Flag, ...] = (
    convert("--enable-log-requests", log_requests, to="--log-requests --log-requests-level 1"),
    convert("--enable-log-outputs", log_outputs, to="--log-requests-level 3"),
    convert("--max-log-len", max_log_len, to="--log-requests-level 2, with --enable-log-outputs"),
    drop("--enable-log-deltas", "SGLang logs an answer once, when it is whole"),
    drop("--log-error-stack", "the middleware logs the traceback of a fault of its own in any case"),
    convert("--log-level", log_level, to="--log-level"),
    convert("--logging-config", logging_config, to="--log-level"),
    Flag("--log-config-file", "drop", why=OTHER_LOGGERS, convert=log_config_file),
    ours("--uvicorn-log-level", uvicorn_log_level, to="--log-level-http"),
    ours("--disable-uvicorn-access-log", no_access_log, to="--log-level-http warning"),
    ours("--disable-access-log-for-endpoints", no_access_log_for, to="--uvicorn-access-log-exclude-prefixes"),
)
