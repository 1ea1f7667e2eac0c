"""Variables that are not vLLM's: of Prometheus, LMCache, SGLang, Hugging Face and the other libraries that SGLang
reads by itself. Read by `shims.environment`, after the exact names."""

from __future__ import annotations

from shims.environment.record import Decider, Variable, convert, drop, given, names, passed, refuse
from shims.flags.draft import Draft
from shims.flags.record import Outcome

ITSELF = "SGLang reads it itself"
# What `shims.flags.kv_transfer` makes SGLang's host cache of.
GRPC = "this image serves HTTP, and a second listener of SGLang's checks no key"
LMCACHE = ("LMCACHE_LOCAL_CPU", "LMCACHE_MAX_LOCAL_CPU_SIZE")
TRACING = "--enable-trace"
MULTIPROC_DIR = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")  # prometheus_client reads the old name too
FRESH_FOLDER = "a folder of SGLang's own in the run directory, empty at each start"


def multiproc_dir(name: str) -> Decider:
    """The chart sets it to /tmp. SGLang 0.5.23 writes into the folder itself and never empties it: after a restart
    it would count on from the files of the dead engine, and of whoever else writes there. `plan` names another, which
    `supervision` empties; without the variable each SGLang that is killed would leave a folder in /tmp."""

    def decide(draft: Draft, _value: str) -> Outcome:
        if name != MULTIPROC_DIR[0]:
            draft.engine_unset.append(name)
        return Outcome("convert", FRESH_FOLDER, "in a shared one, or an old one, the series of all processes would mix")

    return decide


def tracing(draft: Draft, _value: str) -> Outcome:
    on = TRACING in draft.engine_args
    return Outcome("pass", note=ITSELF if on else "tracing is off: --otlp-traces-endpoint turns it on")


def plugins(draft: Draft, value: str) -> Outcome:
    draft.warnings.append(f"SGLANG_PLUGINS={value}: a plugin may change anything in SGLang, and nothing here knows it")
    return Outcome("pass", note=ITSELF)


def _family(prefix: str, decide: Decider) -> Variable:
    return Variable(f"{prefix}*", "pass", decide=decide, empty=True)


VARIABLES: tuple[Variable, ...] = (
    *(convert(name, multiproc_dir(name), to=FRESH_FOLDER, empty=True) for name in MULTIPROC_DIR),
    *(Variable(name, "ours", "read with --kv-transfer-config") for name in LMCACHE),
    *drop("SGLang's HiCache takes the place of LMCache", "LMCACHE_*"),
    *drop("the command line names a parser", "SGLANG_TOOL_CALL_PARSER"),
    *refuse(given, f"{GRPC}: unset it", "SGLANG_GRPC_PORT", firm=True),
    *refuse(
        given,
        "the middleware speaks to SGLang's own HTTP application; unset it",
        "SGLANG_HTTP_SERVER_APP_PATH",
        firm=True,
    ),
    *refuse(
        names("", "0", "false", "no", "n", "off"),
        "the middleware speaks to SGLang's HTTP server in Python; unset it",
        "SGLANG_RUST_SERVER",
        firm=True,
    ),
    Variable("SGLANG_PLUGINS", "pass", "with a warning: nothing here knows what a plugin changes", decide=plugins),
    # By name: their values are shown, or known to be secret; a family's are neither.
    *passed(ITSELF, "HF_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    *passed(ITSELF, "SGLANG_*", "SGL_*"),
    *passed(ITSELF, "HF_*", "HUGGING_FACE_*", "HUGGINGFACE_*", "TRANSFORMERS_*", "MODELSCOPE_*"),
    *passed(ITSELF, "AWS_*", "RUNAI_STREAMER_*", "MOONCAKE_*"),
    _family("OTEL_", tracing),
)
