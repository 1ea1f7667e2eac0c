"""The environment: each variable of vLLM's, of the stack's and of SGLang's gets a decision. `translate` calls it.

Secrets stay out of argv, rendered files and logs; variables that Kubernetes injects for Services named `vllm...`
or `sglang...` (`VLLM_PORT=tcp://...`) are recognised and ignored.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import partial

from shims import caches
from shims.environment import families, kernels, loading, machine, parallel, server
from shims.environment.record import Variable
from shims.flags.draft import Decision, Draft
from shims.flags.record import Outcome, dropped, invalid
from shims.flags.waivers import Waivers
from shims.redact import cleaned, shown

OURS = "VLLM_SHIM_"
SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_.*)?)$|_PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?$")
AREAS = (server, loading, parallel, kernels, machine)
TABLE: dict[str, Variable] = {variable.name: variable for area in AREAS for variable in area.VARIABLES}


LINKED = ("VLLM", "SGLANG")
# SGLang's ROCm image sets them, vLLM's does not, and they change results: sums between GPUs in 8 bits, contexts beyond
# the model's own. Our Dockerfile empties them. An empty one is none, which SGLang 0.5.23 would take for a wrong value.
EMPTIED = ("ROCM_QUICK_REDUCE_QUANTIZATION", "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN")


def service_links(env: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that Kubernetes sets for a Service named `vllm...` or `sglang...`: nobody asked for them."""
    prefixes = tuple(f"{word}_" for word in LINKED)
    return tuple(n for n, v in env.items() if n.startswith(prefixes) and SERVICE_LINK.search(n) and _is_link(n, v))


def decide(draft: Draft, waived: Waivers) -> None:
    for word in LINKED:
        if links := [name for name in draft.service_links if name.startswith(f"{word}_")]:
            note = f"{len(links)} variables that Kubernetes sets for Services named {word.lower()}..."
            draft.decisions.append(Decision(f"{min(links)}, ...", "env", None, "drop", "", note))
    emptied = [name for name in EMPTIED if draft.env.get(name) == ""]
    draft.engine_unset += emptied
    for name, value in sorted(draft.env.items()):
        if name in emptied:
            continue
        variable = None if name.startswith(OURS) else _record(name)
        if variable is None:
            if name.startswith("VLLM_") and not name.startswith(OURS):
                draft.decisions.append(_unknown(draft, name))
            continue
        if variable.quiet:
            continue
        outcome = waived.apply(draft, name, _outcome(draft, variable, value))
        # A name that only a family knows may hold anything: its value is not ours to print.
        value_shown = None if variable.name.endswith("*") else shown(name, value)
        target, note = cleaned(outcome.target), cleaned(outcome.note)
        draft.decisions.append(Decision(name, "env", value_shown, outcome.action, target, note))
    caches.complete(draft)


def _record(name: str) -> Variable | None:
    return TABLE.get(name) or next((v for v in families.VARIABLES if v.matches(name)), None)


def _outcome(draft: Draft, variable: Variable, value: str) -> Outcome:
    if variable.decide is None:
        return Outcome(variable.action, note=variable.why)
    if not value.strip() and not variable.empty:
        return dropped("empty: as if it were not set")
    try:
        outcome = draft.attempt(partial(variable.decide, draft, value))
    except ValueError:
        return invalid("vLLM cannot read this value and would not start: give a whole number, such as 0 or 1")
    if outcome.action in ("ours", "convert") and outcome.target and variable.why:
        return Outcome(outcome.action, outcome.target, "; ".join(filter(None, (outcome.note, variable.why))))
    return outcome


def _unknown(draft: Draft, name: str) -> Decision:
    close = difflib.get_close_matches(name, TABLE, n=1, cutoff=0.85)
    hint = f"; did you mean {close[0]}?" if close else ""
    draft.warnings.append(f"{name}: vLLM has no such variable{hint}")
    return Decision(name, "env", None, "drop", "", f"vLLM has no such variable{hint}")


def _is_link(name: str, value: str) -> bool:
    return "://" in value or "_SERVICE_" in name or re.search(r"_PORT_\d+_", name) is not None
