"""The translation while it is being made: what the converters write to and read from. `translate` owns it,
`plan` reads it when it is done.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from middleware.policy import Policy
from shims.actions import Action
from shims.catalog import catalogs
from shims.cli import CommandLine
from shims.facts import Facts
from shims.flags.record import Outcome, refused
from shims.redact import redacted, shown

KEEP_ALIVE_SECONDS = 75  # longer than load balancers keep a connection: they must be the ones to close it
DEFAULT_MODEL = "Qwen/Qwen3-0.6B"  # vLLM 0.33.0's own
GUARDS = ("--allowed-media-domains", "--media-url-max-file-size-mb")  # without one a door stays open
MANY = 8  # values of a flag that the report shows
GIVEN = ("command", "env", "facts", "service_links")


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one thing that was given. `value` is None for a switch, and redacted for a secret."""

    name: str
    kind: str  # flag or env
    value: str | None
    action: Action
    target: str
    note: str


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file of the run directory: its text, or the path that it is copied from at the start."""

    name: str
    text: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Tls:
    """What haproxy needs to speak TLS: paths in the container. `cert_reqs`: 0 none, 1 optional, 2 required."""

    certfile: str = ""
    keyfile: str = ""
    ca_certs: str = ""
    cert_reqs: int = 0
    ciphers: str = ""
    refresh: bool = False


@dataclass(slots=True)
class Draft:
    command: CommandLine
    env: Mapping[str, str]
    facts: Facts
    service_links: tuple[str, ...] = ()  # variables that Kubernetes sets for Services: no part of `env`
    model: str = DEFAULT_MODEL
    host: str | None = None
    port: int = 8000
    served_names: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    engine_args: dict[str, tuple[str, ...]] = field(default_factory=dict)
    engine_env: dict[str, str] = field(default_factory=dict)
    engine_unset: list[str] = field(default_factory=list)  # variables of the container that SGLang must not see
    secrets: dict[str, str] = field(default_factory=dict)  # environment of the programs; never rendered
    files: list[PlanFile] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    added: list[tuple[str, str]] = field(default_factory=list)  # (what, why)
    warnings: list[str] = field(default_factory=list)

    policy: Policy = field(default_factory=Policy)  # what the middleware is told
    tls: Tls = field(default_factory=Tls)
    unix_socket: str = ""  # haproxy binds it instead of host and port
    drain_seconds: int | None = None
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS
    front_door: bool = True  # a worker rank of several nodes has none: its SGLang answers nobody

    def given(self, name: str, default: Any = None) -> Any:
        """The last value of a vLLM flag on the command line, by its own name."""
        return self.command.last(name, default)

    def engine_value(self, flag: str) -> str:
        """The first value of a flag of SGLang's as it stands now; empty where there is none."""
        return next(iter(self.engine_args.get(flag, ())), "")

    def emit(self, flag: str, *values: object, note: str = "", action: Action = "convert") -> Outcome:
        """Give SGLang a flag, and say so. What this SGLang does not have or take is refused by name here, before
        it can crash-loop there."""
        texts = tuple(str(value) for value in values)
        if lacking := _lacking(flag, texts):
            return refused(lacking, firm=flag in GUARDS)
        for other in _opposites(flag):
            self.engine_args.pop(other, None)
        self.engine_args[flag] = texts
        return Outcome(action, shlex.join(redacted((flag, *texts))), note)

    def emit_all(self, *flags: tuple[object, ...], note: str = "") -> Outcome:
        """All of them, or the first refusal."""
        outcomes = [self.emit(str(flag), *values) for flag, *values in flags]
        refusal = next((outcome for outcome in outcomes if outcome.action == "refuse"), None)
        return refusal or Outcome("convert", " ".join(outcome.target for outcome in outcomes), note)

    def set_env(self, name: str, value: str, note: str = "") -> Outcome:
        """A variable of SGLang's that stands for what was asked; the operator's own value wins."""
        if self.env.get(name):
            return Outcome("drop", note=f"{name} is set by the operator and wins")
        self.engine_env[name] = value
        return Outcome("convert", f"{name}={shown(name, value)}", note)

    def attempt(self, decide: Callable[[], Outcome]) -> Outcome:
        """What a converter decides. Of a refusal nothing stays: waived, it would be honoured by half."""
        before = {name: _copy(getattr(self, name)) for name in _WRITTEN}
        outcome = decide()
        if outcome.action == "refuse":
            for name, value in before.items():
                setattr(self, name, value)
        return outcome

    def ask(self, **values: Any) -> None:
        """Tell the middleware."""
        self.policy = replace(self.policy, **values)

    def add(self, flag: str, *values: object, why: str) -> None:
        """Give SGLang a flag that nobody asked for, unless somebody did; an SGLang that lacks it goes without."""
        if any(spelling in self.engine_args for spelling in (flag, *_opposites(flag))):
            return
        outcome = self.emit(flag, *values)
        if outcome.action == "refuse":
            self.warnings.append(f"not added ({why}): {outcome.note}")
        else:
            self.added.append((_brief(flag, tuple(map(str, values)), outcome.target), why))

    def add_env(self, name: str, value: str, why: str) -> None:
        """As `add`, for a variable: the operator's own value wins."""
        if not self.env.get(name) and name not in self.engine_env:
            self.engine_env[name] = value
            self.added.append((f"{name}={shown(name, value)}", why))


def _brief(flag: str, texts: tuple[str, ...], target: str) -> str:
    """Two dozen numbers that nobody asked for are not read at night; the engine's command line has them."""
    return f"{flag} {texts[0]} ... {texts[-1]}" if len(texts) > MANY else target


_WRITTEN = tuple(one.name for one in fields(Draft) if one.name not in GIVEN)


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, (dict, list)) else value


def _opposites(flag: str) -> tuple[str, ...]:
    """Of a switch its negations, of a negation the switch."""
    known = catalogs()[1].by_spelling.get(flag)
    return tuple(one for one in (known.name, *known.negations) if one != flag) if known and known.negations else ()


def _lacking(flag: str, texts: tuple[str, ...]) -> str:
    sglang = catalogs()[1]
    known = sglang.by_spelling.get(flag)
    if known is None:
        return f"SGLang {sglang.version} has no {flag}"
    choices = [str(choice) for choice in known.choices]
    bad = next((text for text in texts if choices and text not in choices), None)
    return f"SGLang {sglang.version} knows no {flag} {bad}; it has {', '.join(choices)}" if bad is not None else ""
