"""What the switcher is told of its members and of the machine: frozen values, and the JSON document between the two.
The shims write it as `models.json`, the middleware reads it by `--models`; standard library only.
"""

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Kind = Literal["sglang", "other"]
KINDS = ("sglang", "other")


class SpecError(ValueError):
    """The document is no specification; the message is one sentence."""


class Tier(enum.StrEnum):
    """Where a member goes when it is not awake."""

    CPU = "cpu"  # weights in the host's memory
    DISK = "disk"  # memory released; weights are read again at the wake
    STOPPED = "stopped"


@dataclass(frozen=True)
class Member:
    name: str  # the first served name: what /v1/models, logs and metrics call it
    program: str  # supervisord's name of it
    names: tuple[str, ...]  # all served names and aliases, `name` first
    port: int  # of its server, on loopback
    kind: Kind = "sglang"
    command: str = ""  # a digest of its command line and environment: at a reload, another one is another process
    # What it needs.
    devices: tuple[int, ...] = ()  # empty: the host alone; then it takes one of the machine's `slots`
    anywhere: bool = False  # without devices: it may be on any of them, and not on the host alone
    memory_gib: float = 0.0  # on each of its devices; 0: the whole device
    host_memory_gib: float = 0.0  # what it keeps of the host's memory while asleep in tier cpu
    # When it is awake, and where it goes.
    tier: Tier = Tier.STOPPED
    ttl_seconds: float = 0.0  # idle for so long: to its tier; 0: never
    pin: bool = False  # never put away for others
    preload: bool = False
    priority: int = 1  # weight of its share of the time
    group: str = ""  # members of one group fit together, by the operator's word
    min_residency_seconds: float | None = None  # None: three times its measured switch, less when nobody asks for it
    # Limits.
    max_wait_seconds: float = 30.0
    drain_seconds: float = 30.0  # then its running requests are ended with an error
    queue_limit: int = 256
    concurrency: int = 0  # 0: no limit
    ready_seconds: float = 600.0  # of a start
    switch_seconds: float = 120.0  # of any other step
    upstream_seconds: float = 0.0  # until an answer's headers; 0: no limit
    # What its own application needs.
    health: str = "/health"  # of an `other`
    policy: str = ""
    ready_file: str = ""
    engine_log: str = ""


@dataclass(frozen=True)
class Mux:
    members: tuple[Member, ...]
    device_memory: Mapping[int, float] = field(default_factory=dict)  # GiB; a device not named takes one at a time
    slots: int = 1  # how many members without devices may be awake at once
    host_memory_gib: float = 0.0  # for members asleep in tier cpu, together; 0: not counted
    default: str = ""  # the model of requests that name none; it comes back when the others are idle
    default_seconds: float = 60.0  # idle for so long, and the default comes back; 0: it does not
    queue_limit: int = 1024  # over all members
    request_seconds: float = 600.0  # the longest a request waits in a queue

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read(text: str | bytes) -> Mux:
    """Raises SpecError for anything that is no JSON object of these fields."""
    try:
        return from_json(json.loads(text))
    except ValueError as exc:
        raise exc if isinstance(exc, SpecError) else SpecError(f"the models' document is no JSON: {exc}") from exc


def from_json(document: object) -> Mux:
    values = _values(Mux, document, "the models' document")
    try:
        mux = Mux(**values)
    except TypeError as exc:
        raise SpecError("the models' document has no members") from exc
    if not mux.members:
        raise SpecError("the models' document has no members")
    seen: dict[str, str] = {}
    for member in mux.members:
        if not member.names or member.names[0] != member.name:
            raise SpecError(f"names of {member.name} do not begin with its name")
        for name in member.names:
            if name in seen:
                raise SpecError(f"{name} is a name of {seen[name]} and of {member.name}: every name is one member's")
            seen[name] = member.name
    if mux.default and mux.default not in seen:
        raise SpecError(f"default is {mux.default!r}, which is no member's name: give one of {', '.join(seen)}")
    return mux


def _member(value: object, where: str) -> Member:
    values = _values(Member, value, where)
    if missing := [name for name in ("name", "program", "names", "port") if name not in values]:
        raise SpecError(f"{where} has no {', '.join(missing)}")
    return Member(**values)


def _values(of: type[Member] | type[Mux], document: object, where: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise SpecError(f"{where} is no JSON object")
    kinds = {f.name: f.type for f in fields(of)}
    if unknown := sorted(set(document) - set(kinds)):
        raise SpecError(f"{where} has unknown fields: {', '.join(unknown)}")
    return {name: READERS[kinds[name]](value, f"{name} of {where}") for name, value in document.items()}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise SpecError(f"{where} is {value!r}: give a text")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise SpecError(f"{where} is {value!r}: give true or false")
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise SpecError(f"{where} is {value!r}: give a number, 0 or more")
    return float(value)


def _whole(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SpecError(f"{where} is {value!r}: give a whole number, 0 or more")
    return value


def _one_of(allowed: Sequence[str]) -> Callable[[object, str], str]:
    def read_word(value: object, where: str) -> str:
        if value not in allowed:
            raise SpecError(f"{where} is {value!r}: give one of {', '.join(allowed)}")
        return str(value)

    return read_word


def _several(one: Callable[[object, str], Any]) -> Callable[[object, str], tuple[Any, ...]]:
    def read_list(value: object, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise SpecError(f"{where} is {value!r}: give a list")
        return tuple(one(item, f"number {number} of {where}") for number, item in enumerate(value, 1))

    return read_list


def _memory(value: object, where: str) -> dict[int, float]:
    """JSON has no numbers for keys."""
    if not isinstance(value, Mapping) or not all(str(device).isdecimal() for device in value):
        raise SpecError(f"{where} is {value!r}: give an object of GiB by the device's number")
    return {int(device): _number(gib, f"{where}, device {device},") for device, gib in value.items()}


READERS: dict[Any, Callable[[object, str], Any]] = {
    str: _text,
    bool: _flag,
    int: _whole,
    float: _number,
    float | None: lambda value, where: None if value is None else _number(value, where),
    Kind: _one_of(KINDS),
    Tier: lambda value, where: Tier(_one_of([tier.value for tier in Tier])(value, where)),
    tuple[str, ...]: _several(_text),
    tuple[int, ...]: _several(_whole),
    tuple[Member, ...]: _several(_member),
    Mapping[int, float]: _memory,
}
