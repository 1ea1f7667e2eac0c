"""The report of a start, for a person: what was given, what it became, what was ignored and why, what we add.
`__main__` prints it and logs it, the preview prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shims import VERSION
from shims.actions import WORDS
from shims.catalog import catalogs
from shims.flags.draft import Decision
from shims.plan import Part, Plan
from shims.redact import cleaned, redacted

WIDEST = 48  # of a column; what is longer pushes its line, not everybody's


def text(plan: Plan) -> str:
    vllm, sglang = catalogs()
    lines = [
        f"vllm-to-sglang {VERSION} in place of vLLM {vllm.version}; SGLang flags checked against {sglang.version}",
        _serving(plan),
    ]
    if plan.decisions:
        lines += ["", "given:", *_table(map(_row, plan.decisions))]
    if plan.added:
        lines += ["", "added:", *_table([target, why] for target, why in plan.added)]
    for engine in plan.engines:
        part = next((one for one in plan.parts if one.program == engine.name), None)
        lines += ["", *(_part(part) if part else ()), f"{engine.name}: {' '.join(redacted(engine.argv))}"]
    lines += [
        "",
        *(_life(plan) if plan.front_door else ["this rank ends with the others; when it dies, the container ends"]),
        f"logs: {plan.facts.log_dir}; look inside: vllm-to-sglang status --run-dir {plan.facts.run_dir}",
    ]
    lines += [f"WARNING: {warning}" for warning in plan.warnings]
    return "\n".join(map(cleaned, lines)) + "\n"


def _part(part: Part) -> list[str]:
    """One of several models: what is not said for all of them above."""
    lines = [f"== {part.name}", *(f"  NOTE: {note}" for note in part.notes)]
    if part.decisions:
        lines += ["given:", *_table(map(_row, part.decisions))]
    if part.added:
        lines += ["added:", *_table([target, why] for target, why in part.added)]
    return lines


def _serving(plan: Plan) -> str:
    if not plan.front_door:
        return f"a worker rank of {plan.models[0]}: SGLang alone, and nothing listens beyond its own loopback"
    where = (plan.unix_socket or f"port {plan.ports.public}") + (" with TLS" if plan.tls.certfile else "")
    inner = f"middleware 127.0.0.1:{plan.ports.middleware}"
    if plan.mux is not None:
        names = ", ".join(" = ".join(member.names) for member in plan.mux.members)
        return f"serving {names} in turns on {where} ({inner})"
    return f"serving {' = '.join(plan.models)} on {where} (SGLang 127.0.0.1:{plan.ports.engine}, {inner})"


def _life(plan: Plan) -> list[str]:
    s = plan.settings
    duck = f"/health 503 and requests taken for up to {s.lame_duck_seconds} s, then " if s.lame_duck_seconds else ""
    drain = f"have {s.drain_seconds} s to finish" if s.drain_seconds else "are ended"
    stall = f"an engine that serves nothing for {s.stall_seconds} s while requests wait: it is ended, as if it had died"
    death = "it is started again when it is asked for" if plan.mux is not None else _restart(s.restart)
    return [
        f"an engine that dies after it was ready: {death}",
        *([stall] if s.stall_seconds else []),
        f"on SIGTERM: {duck}running requests {drain}; all ends within {s.stop_seconds} s",
    ]


def _restart(policy: str) -> str:
    return (
        "the container ends"
        if policy == "exit"
        else "it is started again in place, up to the third death in ten minutes"
    )


def _row(decision: Decision) -> Sequence[str]:
    name = decision.name if decision.value is None else f"{decision.name} {decision.value}"
    if decision.kind == "env" and decision.value is not None:
        name = f"{decision.name}={decision.value}"
    return name, WORDS[decision.action], decision.target, decision.note


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    rows = [list(row) for row in rows]
    widths = [min(WIDEST, max(len(row[i]) for row in rows)) for i in range(len(rows[0]) - 1)]
    return [
        "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]
