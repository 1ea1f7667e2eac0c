"""Variables that are not vLLM's: of Prometheus, LMCache, SGLang, Hugging Face and the other libraries that SGLang
reads by itself. Read by `shims.environment`, after the exact names."""

from __future__ import annotations

from shims.environment.record import Decider, Variable, convert, drop, passed
from shims.flags.draft import Draft
from shims.flags.record import Outcome

ITSELF = "SGLang reads it itself"
# What `shims.flags.kv_transfer` makes SGLang's host cache of.
LMCACHE = ("LMCACHE_LOCAL_CPU", "LMCACHE_MAX_LOCAL_CPU_SIZE")
TRACING = "--enable-trace"


def multiproc_dir(draft: Draft, _value: str) -> Outcome:
    folder = f"{draft.facts.run_dir}/prometheus/sglang"
    draft.engine_env["PROMETHEUS_MULTIPROC_DIR"] = folder
    return Outcome("convert", folder, "a private folder: in a shared one the series of all processes would mix")


def tracing(draft: Draft, _value: str) -> Outcome:
    on = TRACING in draft.engine_args
    return Outcome("pass", note=ITSELF if on else "tracing is off: --otlp-traces-endpoint turns it on")


def _family(prefix: str, decide: Decider) -> Variable:
    return Variable(f"{prefix}*", "pass", decide=decide, empty=True)


VARIABLES: tuple[Variable, ...] = (
    convert("PROMETHEUS_MULTIPROC_DIR", multiproc_dir, to="a folder of SGLang's own", empty=True),
    *(Variable(name, "ours", "read with --kv-transfer-config") for name in LMCACHE),
    *drop("SGLang's HiCache takes the place of LMCache", "LMCACHE_*"),
    *drop("the command line names a parser", "SGLANG_TOOL_CALL_PARSER"),
    # By name: their values are shown, or known to be secret; a family's are neither.
    *passed(ITSELF, "HF_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    *passed(ITSELF, "SGLANG_*", "SGL_*"),
    *passed(ITSELF, "HF_*", "HUGGING_FACE_*", "HUGGINGFACE_*", "TRANSFORMERS_*", "MODELSCOPE_*"),
    *passed(ITSELF, "AWS_*", "RUNAI_STREAMER_*", "MOONCAKE_*"),
    _family("OTEL_", tracing),
)
