"""vLLM's HTTP server: keys, limits of a request, logs and profiles. Read by `shims.environment`."""

from __future__ import annotations

from shims.environment.record import (
    Decider,
    Variable,
    convert,
    drop,
    emits,
    given,
    names,
    number,
    ours,
    put,
    refuse,
    sets,
    unseen,
    whole,
    word,
)
from shims.flags import lora
from shims.flags.draft import Draft
from shims.flags.record import Outcome, already, dropped, invalid
from shims.flags.server import BLANK_KEY

LOG_LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warning", "ERROR": "error", "CRITICAL": "critical"}
STOP = "stop strings a request"
BODY = "bytes a request body"
SGLANG_STOP_STRINGS = 32  # SGLang 0.5.23 takes no more
OWN_CLASSES = "vllm."  # a formatter of vLLM's own in a logging configuration: SGLang could not import it
NO_MCP = "SGLang has no tools by label of an MCP server"
DEV_ROUTES = "vLLM's development routes answer everybody"
LORA_ROUTES = "/v1/load_lora_adapter and /v1/unload_lora_adapter"
ANY_NAME = "any model name is served"
UNTOLD = "nothing is sent to vLLM's project from here"
DEBUG = "for debugging vLLM itself"


def api_key(draft: Draft, value: str) -> Outcome:
    if draft.api_keys:
        return dropped("--api-key wins, as in vLLM")
    if not value:
        return dropped("empty: as if it were not set")
    if not value.strip():
        return invalid(BLANK_KEY)
    draft.api_keys = (value,)
    return Outcome("ours", "the middleware checks it", "under /v1 and the other paths that vLLM guards")


def at_most(field: str, least: int, unit: str) -> Decider:
    """A limit that the middleware enforces."""

    def decide(draft: Draft, value: str) -> Outcome:
        limit = whole(value, least, unit)
        if isinstance(limit, Outcome):
            return limit
        draft.ask(**{field: limit})
        note = f"SGLang itself takes {SGLANG_STOP_STRINGS}" if unit == STOP and limit > SGLANG_STOP_STRINGS else ""
        return Outcome("ours", f"at most {limit} {unit}" if limit or unit != BODY else "no limit", note)

    return decide


def keep_alive(draft: Draft, value: str) -> Outcome:
    seconds = whole(value, 1, "seconds")
    if isinstance(seconds, Outcome):
        return seconds
    draft.keep_alive_seconds = seconds
    return Outcome("ours", f"haproxy: timeout http-keep-alive {seconds}s")


def logging_level(draft: Draft, value: str) -> Outcome:
    level = LOG_LEVELS.get(value.upper())
    if level is None:
        return dropped(f"'{value}' is not one of {', '.join(LOG_LEVELS)}")
    if "--log-level" in draft.engine_args:
        return dropped("--log-level on the command line wins")
    return draft.emit("--log-level", level)


def logging_config(draft: Draft, value: str) -> Outcome:
    """SGLang 0.5.23 reads the same dictConfig JSON. Whether the file is there is asked at the start, not here."""
    if OWN_CLASSES in str(draft.facts.logging_config):
        why = f"{value} names classes of vLLM's, which SGLang cannot import: SGLang's logs keep their own format"
        draft.warnings.append(f"VLLM_LOGGING_CONFIG_PATH is NOT honoured: {why}")
        return dropped(why)
    return put(draft, "SGLANG_LOGGING_CONFIG_PATH", value, "SGLang's loggers are named sglang, not vllm")


def profiler_dir(draft: Draft, value: str) -> Outcome:
    draft.ask(profiler=True)
    return put(draft, "SGLANG_TORCH_PROFILER_DIR", value, "/start_profile and /stop_profile are served")


def strict_tools(draft: Draft, value: str) -> Outcome:
    on = value.lower() in ("true", "1")
    return put(draft, "SGLANG_TOOL_STRICT_LEVEL", "2" if on else "0", "parameters" if on else "off")


def dev_mode(draft: Draft, value: str) -> Outcome:
    if not number(value):
        return already("off")
    draft.ask(dev_mode=True)
    draft.warnings.append(f"VLLM_SERVER_DEV_MODE: {DEV_ROUTES}, as in vLLM: keep strangers away from this port")
    return Outcome("ours", DEV_ROUTES)


def runtime_lora(draft: Draft, value: str) -> Outcome:
    if not word(value):
        return already("off")
    draft.ask(runtime_lora=True)
    note = "" if lora.is_enabled(draft) else "without --enable-lora no adapter can be loaded, as in vLLM"
    return Outcome("ours", LORA_ROUTES, note)


def any_model_name(draft: Draft, value: str) -> Outcome:
    if not word(value):
        return already("off")
    draft.ask(any_model_name=True)
    return Outcome("ours", ANY_NAME)


VARIABLES: tuple[Variable, ...] = (
    ours("VLLM_API_KEY", api_key, empty=True),
    ours("VLLM_MAX_N_SEQUENCES", at_most("max_n", 1, "sequences (n) a request")),
    ours("VLLM_MAX_STOP_STRINGS", at_most("max_stop_strings", 0, STOP)),
    ours("VLLM_MAX_COMPLETION_PROMPTS", at_most("max_completion_prompts", 0, "prompts a request")),
    ours(
        "VLLM_HTTP_MAX_REQUEST_BODY_SIZE",
        at_most("max_request_body_bytes", 0, BODY),
        "for every client; in vLLM the Rust frontend alone has it",
    ),
    ours("VLLM_HTTP_TIMEOUT_KEEP_ALIVE", keep_alive, to="haproxy's timeout http-keep-alive"),
    convert("VLLM_ENABLE_RESPONSES_API_STORE", emits("--enable-response-store"), to="--enable-response-store"),
    convert("VLLM_ENFORCE_STRICT_TOOL_CALLING", strict_tools, to="SGLANG_TOOL_STRICT_LEVEL"),
    convert("VLLM_LOGGING_LEVEL", logging_level, to="--log-level"),
    convert("VLLM_LOGGING_CONFIG_PATH", logging_config, to="SGLANG_LOGGING_CONFIG_PATH"),
    convert(
        "VLLM_TORCH_PROFILER_DIR", profiler_dir, to="SGLANG_TORCH_PROFILER_DIR; the middleware answers /start_profile"
    ),
    convert("VLLM_TORCH_PROFILER_RECORD_SHAPES", sets("SGLANG_PROFILE_RECORD_SHAPES", read=names("", "0"))),
    convert("VLLM_TORCH_PROFILER_WITH_STACK", sets("SGLANG_PROFILE_WITH_STACK", read=names("", "0"))),
    ours("VLLM_SERVER_DEV_MODE", dev_mode, to=DEV_ROUTES),
    ours("VLLM_ALLOW_RUNTIME_LORA_UPDATING", runtime_lora, to=LORA_ROUTES),
    ours("VLLM_SKIP_MODEL_NAME_VALIDATION", any_model_name, to=ANY_NAME),
    *refuse(number, "POST /cohere/v2/chat is not served; call /v1/chat/completions", "VLLM_ENABLE_COHERE_API"),
    *refuse(
        given,
        "no adapter is found by its name alone; give --lora-modules, or load it with /v1/load_lora_adapter",
        *("VLLM_LORA_RESOLVER_CACHE_DIR", "VLLM_LORA_RESOLVER_HF_REPO_LIST"),
    ),
    *refuse(given, "vLLM's plugins cannot run in SGLang; leave it out or empty", "VLLM_PLUGINS"),
    *refuse(given, "SGLang's Harmony prompt has today's date and nothing pins it", "VLLM_SYSTEM_START_DATE"),
    *refuse(
        number,
        "SGLang puts no instructions into Harmony's system message; send them as a developer message",
        "VLLM_GPT_OSS_HARMONY_SYSTEM_INSTRUCTIONS",
    ),
    *refuse(given, NO_MCP, "VLLM_GPT_OSS_SYSTEM_TOOL_MCP_LABELS", "GPT_OSS_SYSTEM_TOOL_MCP_LABELS"),
    *refuse(number, NO_MCP, "VLLM_USE_EXPERIMENTAL_PARSER_CONTEXT"),
    *drop(
        "bad_words is no field of SGLang's requests: there is nothing to limit",
        *("VLLM_MAX_NUM_BAD_WORDS", "VLLM_MAX_BAD_WORDS_TOTAL_TOKENS"),
    ),
    *drop(
        "an engine that dies ends the container or is started again: VLLM_SHIM_ENGINE_RESTART",
        "VLLM_KEEP_ALIVE_ON_ENGINE_DEATH",
    ),
    *drop("the startup probe says how long a start may take", "VLLM_ENGINE_READY_TIMEOUT_S"),
    *drop("SGLang sets no limit to the rendering of a template", "VLLM_CHAT_TEMPLATE_RENDER_TIMEOUT"),
    *drop(
        "the front door is haproxy and the middleware",
        *("VLLM_USE_RUST_FRONTEND", "VLLM_RUST_FRONTEND_PATH", "VLLM_CHAT_TEMPLATE_FUEL", "VLLM_USE_RUST_BENCH"),
    ),
    *drop(
        "SGLang's tool parsers are its own",
        *("VLLM_TOOL_PARSE_REGEX_TIMEOUT_SECONDS", "VLLM_TOOL_JSON_ERROR_AUTOMATIC_RETRY"),
        "VLLM_BEAM_ALWAYS_CONSTRAIN_OUTPUT",
    ),
    *drop(
        "SGLang's log lines have their own form and pace",
        *("VLLM_CONFIGURE_LOGGING", "VLLM_LOGGING_PREFIX", "VLLM_LOGGING_STREAM", "VLLM_LOGGING_COLOR"),
        *("VLLM_LOG_STATS_INTERVAL", "VLLM_LOG_BATCHSIZE_INTERVAL", "VLLM_LOG_MODEL_INSPECTION"),
        *("VLLM_DISABLE_LOG_LOGO", "VLLM_NO_DEPRECATION_WARNING", "VLLM_PROCESS_NAME_PREFIX"),
    ),
    *drop(
        "no request or answer is logged; --enable-log-requests asks SGLang for it",
        *("VLLM_DEBUG_LOG_API_SERVER_RESPONSE", "VLLM_REQUEST_BODY_LOG_LEVEL"),
    ),
    *drop(
        "SGLang's profile has no such part",
        *("VLLM_TORCH_PROFILER_WITH_PROFILE_MEMORY", "VLLM_TORCH_PROFILER_WITH_FLOPS"),
        *("VLLM_CUSTOM_SCOPES_FOR_PROFILING", "VLLM_NVTX_SCOPES_FOR_PROFILING"),
    ),
    *drop(UNTOLD, "VLLM_USAGE_STATS_SERVER", "VLLM_NO_USAGE_STATS", "VLLM_DO_NOT_TRACK", "VLLM_USAGE_SOURCE"),
    *drop(
        DEBUG,
        *("VLLM_TRACE_FUNCTION", "VLLM_PATTERN_MATCH_DEBUG", "VLLM_DEBUG_DUMP_PATH", "VLLM_GPU_SYNC_CHECK"),
        *("VLLM_GC_DEBUG", "VLLM_DEBUG_WORKSPACE", "VLLM_DEBUG_MFU_METRICS"),
    ),
    *unseen("NO_COLOR", "FORCE_COLOR"),
)
