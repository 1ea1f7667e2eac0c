"""The translation while it is being made: what the converters write to and read from. `translate` owns it,
`plan` reads it when it is done.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shims.cli import CommandLine
from shims.facts import Facts
from shims.flags.record import Action, Outcome

DEFAULT_MODEL = "Qwen/Qwen3-0.6B"  # vLLM 0.33.0's own


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


@dataclass(slots=True)
class Draft:
    command: CommandLine
    env: Mapping[str, str]
    facts: Facts
    model: str = DEFAULT_MODEL
    host: str | None = None
    port: int = 8000
    served_names: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    engine_args: dict[str, tuple[str, ...]] = field(default_factory=dict)
    engine_env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)  # environment of the programs; never rendered
    files: list[PlanFile] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    added: list[tuple[str, str]] = field(default_factory=list)  # (what, why)
    warnings: list[str] = field(default_factory=list)

    def given(self, name: str, default: Any = None) -> Any:
        """The last value of a vLLM flag on the command line, by its own name."""
        return self.command.last(name, default)

    def emit(self, flag: str, *values: object, note: str = "", action: Action = "convert") -> Outcome:
        """Give SGLang a flag, and say so."""
        texts = tuple(str(value) for value in values)
        self.engine_args[flag] = texts
        return Outcome(action, shlex.join((flag, *texts)), note)

    def emit_all(self, *flags: tuple[object, ...], note: str = "") -> Outcome:
        targets = [self.emit(str(flag), *values).target for flag, *values in flags]
        return Outcome("convert", " ".join(targets), note)

    def add(self, flag: str, *values: object, why: str) -> None:
        """Give SGLang a flag that nobody asked for, unless somebody did."""
        if flag not in self.engine_args:
            self.added.append((self.emit(flag, *values).target, why))

    def add_env(self, name: str, value: str, why: str) -> None:
        """As `add`, for a variable: the operator's own value wins."""
        if name not in self.env:
            self.engine_env[name] = value
            self.added.append((f"{name}={value}", why))
