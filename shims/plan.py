"""The Plan: one frozen value that says everything about one start. `make` builds it from a command line, an
environment and Facts, and touches nothing; `render_config` turns it into files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from middleware.policy import Policy
from shims import engines, ports, settings
from shims.catalog import TESTED_SGLANG, catalogs
from shims.cli import CommandLine
from shims.engines import NOT_FOR_THE_ENGINE, Engine
from shims.exceptions import StartError
from shims.facts import Facts
from shims.flags.draft import KEEP_ALIVE_SECONDS, Decision, PlanFile, Tls
from shims.flags.translate import translate
from shims.ports import Ports
from shims.redact import cleaned, is_secret, redacted, shown
from shims.settings import Settings

if TYPE_CHECKING:
    from switcher.spec import Mux


@dataclass(frozen=True, slots=True)
class Part:
    """One of several models: what its own words became."""

    name: str  # the first served name
    program: str
    model: str  # what SGLang loads; empty for what is no SGLang
    policy: Policy
    decisions: tuple[Decision, ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    models: tuple[str, ...]  # served names, the first is the one in metrics
    host: str | None  # None: all addresses
    ports: Ports
    engines: tuple[Engine, ...]
    settings: Settings
    facts: Facts
    policy: Policy = field(default_factory=Policy)
    tls: Tls = field(default_factory=Tls)
    unix_socket: str = ""  # haproxy binds it instead of host and port
    front_door: bool = True  # without it SGLang runs alone: a worker rank of several nodes
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS
    engine_only: tuple[str, ...] = ()  # variables with secrets that SGLang alone needs
    files: tuple[PlanFile, ...] = ()
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    decisions: tuple[Decision, ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    mux: Mux | None = None  # several models: what the switcher is told
    parts: tuple[Part, ...] = ()
    words: tuple[str, ...] = ()  # of several models: the command line, to be read again; without a secret

    @property
    def programs(self) -> tuple[str, ...]:
        engines = tuple(engine.name for engine in self.engines)
        return (*engines, "middleware", "haproxy") if self.front_door else engines

    def to_json(self) -> dict[str, Any]:
        """The preview's document, without a secret in it."""
        return {
            "models": list(map(cleaned, self.models)),
            "ports": {
                "public": self.ports.public,
                "middleware": self.ports.middleware,
                **({"page": self.ports.page} if self.ports.page else {}),
            },
            "programs": list(self.programs),
            "engines": [
                {
                    "name": e.name,
                    "port": e.port,
                    "argv": redacted(e.argv),
                    "env": {name: shown(name, value) for name, value in e.env.items()},
                }
                for e in self.engines
            ],
            "decisions": [
                *_decisions(self.decisions),
                *({"engine": part.program, **one} for part in self.parts for one in _decisions(part.decisions)),
            ],
            "added": [
                *_added(self.added),
                *({"engine": part.program, **one} for part in self.parts for one in _added(part.added)),
            ],
            "warnings": list(map(cleaned, self.warnings)),
        }

    def record(self) -> str:
        """The same as a file of the run directory, for `vllm-to-sglang status`."""
        members = [engine.name for engine in self.engines] if self.mux is not None else []
        text = json.dumps(
            {"log_dir": self.facts.log_dir, "members": members, **self.to_json()}, ensure_ascii=False, indent=1
        )
        return text.encode("utf-8", "replace").decode()  # a variable's bytes may be no UTF-8


def _decisions(decisions: Iterable[Decision]) -> list[dict[str, Any]]:
    return [
        {
            "name": d.name,
            "kind": d.kind,
            "value": d.value,
            "action": d.action,
            "target": cleaned(d.target),
            "note": cleaned(d.note),
        }
        for d in decisions
    ]


def _added(added: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"target": cleaned(target), "note": cleaned(why)} for target, why in added]


def make(command: CommandLine, env: Mapping[str, str], facts: Facts) -> Plan:
    """Raises ShimError: Refused for what cannot be honoured, StartError for a taken port."""
    draft = translate(command, env, facts)
    chosen = settings.read(env, in_kubernetes=facts.in_kubernetes, drain_seconds=draft.drain_seconds)
    if draft.port in facts.taken_ports and draft.front_door and not draft.unix_socket:
        raise StartError(f"port {draft.port} is taken by another process: stop that, or give another --port")
    where, moved = ports.allocate(draft.port, facts.taken_ports, env)
    return Plan(
        models=draft.served_names,
        host=draft.host or None,
        ports=where,
        engines=(engines.of(draft, chosen.engine, engines.ENGINE, where.engine, facts.run_dir),),
        settings=chosen,
        facts=facts,
        policy=policy(draft.policy, chosen, facts),
        tls=draft.tls,
        unix_socket=draft.unix_socket,
        front_door=draft.front_door,
        keep_alive_seconds=draft.keep_alive_seconds,
        engine_only=engine_only(env, draft.secrets),
        files=tuple(draft.files),
        api_keys=draft.api_keys,
        secrets=draft.secrets,
        decisions=tuple(draft.decisions),
        added=tuple(draft.added),
        warnings=(*_untested(), *draft.warnings, *_of_settings(chosen, facts), *moved),
    )


def _of_settings(chosen: Settings, facts: Facts) -> tuple[str, ...]:
    return settings.warnings(chosen, in_kubernetes=facts.in_kubernetes, grace_seconds=facts.grace_seconds)


def policy(asked: Policy, chosen: Settings, facts: Facts) -> Policy:
    """What the flags ask of it, and what our own variables do."""
    rl = chosen.rl or asked.dev_mode
    return replace(
        asked,
        rl=rl,
        scale_out=rl or asked.scale_out,
        stall_seconds=chosen.stall_seconds,
        errors_log=_errors_log(chosen, facts),
    )


def _errors_log(chosen: Settings, facts: Facts) -> str:
    return f"{facts.log_dir}/errors.log" if chosen.dump_errors else ""


def _untested() -> tuple[str, ...]:
    version = catalogs()[1].version
    if version in TESTED_SGLANG:
        return ()
    tested = ", ".join(TESTED_SGLANG)
    return (f"SGLang {version} is not a tested version ({tested}): flags are checked by name, their meaning is not",)


def engine_only(env: Mapping[str, str], secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Tokens of the hub and of buckets: the middleware and haproxy speak to SGLang alone."""
    return tuple(sorted({*secrets, *(name for name in env if is_secret(name))} - {*NOT_FOR_THE_ENGINE}))
