"""The Plan: one frozen value that says everything about one start. `make` builds it from a command line, an
environment and Facts, and touches nothing; `render_config` turns it into files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from middleware.policy import Policy
from shims import ports, settings
from shims.catalog import TESTED_SGLANG, catalogs
from shims.cli import CommandLine
from shims.environment.families import MULTIPROC_DIR
from shims.exceptions import StartError
from shims.facts import Facts
from shims.flags.draft import KEEP_ALIVE_SECONDS, Decision, Draft, PlanFile, Tls
from shims.flags.translate import translate
from shims.ports import Ports
from shims.redact import cleaned, is_secret, redacted, shown
from shims.settings import Settings

# Where the API keys travel: the environment of the middleware, and of nothing else.
KEYS_VARIABLE = "VLLM_SHIM_API_KEYS"
NOT_FOR_THE_ENGINE = (KEYS_VARIABLE, "VLLM_API_KEY")
ENGINE = "sglang"


@dataclass(frozen=True, slots=True)
class Engine:
    """One SGLang: `env` is what is set for it beside the container's environment, `unset` what is taken away."""

    name: str
    port: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    unset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    models: tuple[str, ...]  # served names, the first is the one in metrics
    model: str  # what SGLang loads: a folder or a name on the hub
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

    @property
    def programs(self) -> tuple[str, ...]:
        engines = tuple(engine.name for engine in self.engines)
        return (*engines, "middleware", "haproxy") if self.front_door else engines

    def to_json(self) -> dict[str, Any]:
        """The preview's document, without a secret in it."""
        return {
            "models": list(map(cleaned, self.models)),
            "ports": {"public": self.ports.public, "middleware": self.ports.middleware},
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
                {
                    "name": d.name,
                    "kind": d.kind,
                    "value": d.value,
                    "action": d.action,
                    "target": cleaned(d.target),
                    "note": cleaned(d.note),
                }
                for d in self.decisions
            ],
            "added": [{"target": cleaned(target), "note": cleaned(why)} for target, why in self.added],
            "warnings": list(map(cleaned, self.warnings)),
        }


def make(command: CommandLine, env: Mapping[str, str], facts: Facts) -> Plan:
    """Raises ShimError: Refused for what cannot be honoured, StartError for a taken port."""
    draft = translate(command, env, facts)
    chosen = settings.read(env, in_kubernetes=facts.in_kubernetes, drain_seconds=draft.drain_seconds)
    if draft.port in facts.taken_ports and draft.front_door and not draft.unix_socket:
        raise StartError(f"port {draft.port} is taken by another process: stop that, or give another --port")
    where, moved = ports.allocate(draft.port, facts.taken_ports, env)
    return Plan(
        models=draft.served_names,
        model=draft.model,
        host=draft.host or None,
        ports=where,
        engines=(_engine(draft, chosen, where),),
        settings=chosen,
        facts=facts,
        policy=replace(draft.policy, stall_seconds=chosen.stall_seconds),
        tls=draft.tls,
        unix_socket=draft.unix_socket,
        front_door=draft.front_door,
        keep_alive_seconds=draft.keep_alive_seconds,
        engine_only=_engine_only(env, draft.secrets),
        files=tuple(draft.files),
        api_keys=draft.api_keys,
        secrets=draft.secrets,
        decisions=tuple(draft.decisions),
        added=tuple(draft.added),
        warnings=(*_untested(), *draft.warnings, *settings.warnings(chosen), *moved),
    )


def _untested() -> tuple[str, ...]:
    version = catalogs()[1].version
    if version in TESTED_SGLANG:
        return ()
    tested = ", ".join(TESTED_SGLANG)
    return (f"SGLang {version} is not a tested version ({tested}): flags are checked by name, their meaning is not",)


def _engine_only(env: Mapping[str, str], secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Tokens of the hub and of buckets: the middleware and haproxy speak to SGLang alone."""
    return tuple(sorted({*secrets, *(name for name in env if is_secret(name))} - {*NOT_FOR_THE_ENGINE}))


def _engine(draft: Draft, chosen: Settings, where: Ports) -> Engine:
    house = {
        "--model-path": (draft.model,),
        "--served-model-name": (draft.served_names[0],),
        "--host": ("127.0.0.1",),
        "--port": (str(where.engine),),
    }
    flags = [part for flag, values in {**house, **draft.engine_args}.items() for part in _words(flag, values)]
    # SGLang would take the address in SGLANG_PORT for its port.
    links = [name for name in draft.service_links if name.startswith("SGLANG_") and name not in draft.engine_env]
    env, unset = dict(draft.engine_env), [*NOT_FOR_THE_ENGINE, *links, *draft.engine_unset]
    env[MULTIPROC_DIR[0]] = f"{draft.facts.run_dir}/prometheus/{ENGINE}"
    _keep_the_shadow_away(draft, env, unset)
    return Engine(ENGINE, where.engine, (*chosen.engine, *flags), env, tuple(unset))


def _words(flag: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """One value that begins with a dash would be taken for a flag; argparse knows negative numbers."""
    if len(values) == 1 and values[0].startswith("-") and not values[0][1:].replace(".", "", 1).isdecimal():
        return (f"{flag}={values[0]}",)
    return (flag, *values)


def _keep_the_shadow_away(draft: Draft, env: dict[str, str], unset: list[str]) -> None:
    """SGLang 0.5.23 tries `import vllm` itself (fused MoE, custom all-reduce): it must not find our stubs."""
    shadow = f"{draft.facts.home}/shims/shadow"
    entries = draft.env.get("PYTHONPATH", "").split(":")
    if shadow in entries:
        rest = ":".join(entry for entry in entries if entry != shadow)
        if rest:
            env["PYTHONPATH"] = rest
        else:
            unset.append("PYTHONPATH")
