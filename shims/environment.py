"""The environment: each variable of vLLM's, of the stack's and of SGLang's gets a decision. `translate` calls it.

Secrets stay out of argv, rendered files and logs; variables that Kubernetes injects for Services named `vllm...`
(`VLLM_PORT=tcp://...`) are recognised and ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from shims.flags.draft import Decision, Draft
from shims.flags.record import Action, Outcome
from shims.flags.waivers import Waivers
from shims.redact import shown

SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_.*)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?$")
PREFIXES = ("VLLM_", "LMCACHE_", "SGLANG_", "HF_", "HUGGING_FACE_", "PROMETHEUS_MULTIPROC_DIR")
LOG_LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warning", "ERROR": "error", "CRITICAL": "critical"}
OFF = ("", "0", "false", "no")

Decider = Callable[[Draft, str], Outcome]


@dataclass(frozen=True, slots=True)
class Variable:
    name: str  # exact, or a prefix that ends in `*`
    action: Action
    why: str = ""
    decide: Decider | None = None

    def matches(self, name: str) -> bool:
        return name.startswith(self.name[:-1]) if self.name.endswith("*") else name == self.name


def api_key(draft: Draft, value: str) -> Outcome:
    if draft.api_keys:
        return Outcome("drop", note="--api-key wins, as in vLLM")
    draft.api_keys = (value,) if value else ()
    return Outcome("ours", "the middleware checks it", "under /v1 and the other paths that vLLM guards")


def multiproc_dir(draft: Draft, value: str) -> Outcome:
    folder = f"{draft.facts.run_dir}/prometheus/sglang"
    draft.engine_env["PROMETHEUS_MULTIPROC_DIR"] = folder
    return Outcome("convert", folder, "a private folder: in a shared one the series of all processes would mix")


def logging_level(draft: Draft, value: str) -> Outcome:
    level = LOG_LEVELS.get(value.upper())
    if level is None:
        return Outcome("drop", note=f"'{value}' is not one of {', '.join(LOG_LEVELS)}")
    if "--log-level" in draft.engine_args:
        return Outcome("drop", note="--log-level on the command line wins")
    return draft.emit("--log-level", level)


def switch(variable: str) -> Decider:
    """A vLLM variable that turns on an SGLang variable."""

    def decide(draft: Draft, value: str) -> Outcome:
        if value.lower() in OFF:
            return Outcome("drop", note="off")
        draft.engine_env.setdefault(variable, "1")
        return Outcome("convert", f"{variable}=1")

    return decide


TABLE: tuple[Variable, ...] = (
    Variable("VLLM_API_KEY", "ours", decide=api_key),
    Variable("PROMETHEUS_MULTIPROC_DIR", "convert", decide=multiproc_dir),
    Variable("VLLM_LOGGING_LEVEL", "convert", decide=logging_level),
    Variable("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "convert", decide=switch("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN")),
    Variable("VLLM_USE_MODELSCOPE", "convert", decide=switch("SGLANG_USE_MODELSCOPE")),
    Variable("VLLM_USE_V1", "drop", "SGLang has one engine"),
    Variable("VLLM_RPC_TIMEOUT", "drop", "SGLang has no such RPC"),
    Variable("VLLM_HOST_IP", "drop", "one node: nothing to advertise"),
    Variable("VLLM_PORT", "drop", "vLLM's internal port, not the server's"),
    Variable("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "drop", "adapters at run time are not served yet"),
    Variable("VLLM_SERVER_DEV_MODE", "drop", "vLLM's development routes are not served yet"),
    Variable("LMCACHE_LOCAL_CPU", "ours", "read with --kv-transfer-config"),
    Variable("LMCACHE_MAX_LOCAL_CPU_SIZE", "ours", "read with --kv-transfer-config"),
    Variable("LMCACHE_*", "drop", "SGLang's HiCache takes the place of LMCache"),
    Variable("SGLANG_TOOL_CALL_PARSER", "drop", "the command line names a parser"),
    Variable("SGLANG_*", "pass", "SGLang reads it itself"),
    Variable("HF_HOME", "pass", "SGLang reads it itself"),
    Variable("HF_TOKEN", "pass", "SGLang reads it itself"),
    Variable("HF_*", "pass", "SGLang reads it itself"),
    Variable("HUGGING_FACE_HUB_TOKEN", "pass", "SGLang reads it itself"),
    Variable("HUGGING_FACE_*", "pass", "SGLang reads it itself"),
    Variable("VLLM_*", "drop", "SGLang has no counterpart"),
)


def decide(draft: Draft, waived: Waivers) -> None:
    links = [n for n, v in draft.env.items() if n.startswith("VLLM_") and SERVICE_LINK.search(n) and _is_link(n, v)]
    if links:
        note = f"{len(links)} variables that Kubernetes sets for Services named vllm..."
        draft.decisions.append(Decision(f"{min(links)}, ...", "env", None, "drop", "", note))
    for name, value in sorted(draft.env.items()):
        if name in links or not name.startswith(PREFIXES) or name.startswith("VLLM_SHIM_"):
            continue
        variable = next(v for v in TABLE if v.matches(name))
        outcome = variable.decide(draft, value) if variable.decide else Outcome(variable.action, note=variable.why)
        outcome = waived.apply(draft, name, outcome)
        # A name that only a wildcard knows may hold anything: its value is not ours to print.
        value_shown = None if variable.name.endswith("*") else shown(name, value)
        draft.decisions.append(Decision(name, "env", value_shown, outcome.action, outcome.target, outcome.note))


def _is_link(name: str, value: str) -> bool:
    return "://" in value or "_SERVICE_" in name or re.search(r"_PORT_\d+_", name) is not None
