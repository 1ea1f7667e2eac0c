"""What a run has written down about itself: the plan of its start, and the deaths of its programs.
`inside` reads both; a file that is missing or garbage is a sentence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

PLAN = "plan.json"
STATE = "state.json"  # in the log directory, which may be a volume that outlives the container
LARGEST = 4_000_000
LAST_DEATHS = 10  # of a program
# What can be counted and shown.
Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Unknown(Exception):
    """The message says why nothing is known."""


class Death(msgspec.Struct):
    at: float = 0.0
    how: str = ""
    why: str | None = None
    phase: str | None = None


class Life(msgspec.Struct):
    deaths: list[Death] = []
    restarts: Int = 0


class End(msgspec.Struct):
    at: float = 0.0
    code: Int = 0
    why: str | None = None


class Ports(msgspec.Struct):
    public: Int | None = None
    middleware: Int | None = None


class Engine(msgspec.Struct):
    name: str = ""
    port: Int | None = None
    argv: list[str] = []
    env: dict[str, str] = {}


class Decision(msgspec.Struct):
    name: str
    engine: str = ""  # of several models: whose; empty: of all
    kind: str = ""
    value: str | None = None
    action: str = ""
    target: str = ""
    note: str = ""


class Added(msgspec.Struct):
    engine: str = ""
    target: str = ""
    note: str = ""


class Plan(msgspec.Struct):
    """As `shims.plan` writes it."""

    models: list[str] = []
    members: list[str] = []  # of several models: the programs that take turns
    ports: Ports = msgspec.field(default_factory=Ports)
    programs: list[str] = []
    engines: list[Engine] = []
    decisions: list[Decision] = []
    added: list[Added] = []
    warnings: list[str] = []
    log_dir: str | None = None


class State(msgspec.Struct):
    version: Int
    started: float | None = None
    updated: float | None = None
    phase: str | None = None
    since: float | None = None
    peak_memory_bytes: Int | None = None
    memory_limit_bytes: Int | None = None
    oom_kills: Int | None = None
    programs: dict[str, Life] = {}
    ended: End | None = None


def plan(folder: Path) -> dict[str, Any]:
    """Written by `render_config`, without a secret in it; or Unknown."""
    try:
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.json.decode(_read(folder / PLAN), type=Plan))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Unknown(f"{folder / PLAN} is not what a server of ours writes") from error
    return plain


def state(log_dir: Path) -> dict[str, Any]:
    """Kept by `supervision`; or Unknown."""
    path = log_dir / STATE
    try:
        found = msgspec.json.decode(_read(path), type=State)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Unknown(f"{path} is not what a server of ours writes") from error
    for life in found.programs.values():
        life.deaths = life.deaths[-LAST_DEATHS:]
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST)
    except FileNotFoundError as error:
        raise Unknown(f"there is no {path}") from error
    except OSError as error:
        raise Unknown(f"{path} cannot be read: {error.strerror}") from error
