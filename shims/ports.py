"""Which port each part listens on. Called by `plan`; the machine's taken ports come with the facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shims.exceptions import CommandLineError, StartError

# Ports that the production stack uses inside the pod or beside it: LMCache's controller and NIXL, the LoRA sidecar.
RESERVED = frozenset({9000, 9999, 30090, 55555})
LAST = 65535
LONGEST = 9  # digits: int() raises for thousands of them
FIRST_UNPRIVILEGED = 1024


@dataclass(frozen=True, slots=True)
class Ports:
    public: int
    engine: int
    middleware: int


def allocate(public: int, taken: frozenset[int], env: Mapping[str, str]) -> tuple[Ports, list[str]]:
    """Public port N, SGLang N+1, middleware N+2, each moved if it cannot be had; a line for every move."""
    used = taken | RESERVED | {public}
    lines: list[str] = []

    def choose(what: str, variable: str, wanted: int) -> int:
        nonlocal used
        if given := env.get(variable):
            port = _number(variable, given)
            if port in taken or port == public:
                raise StartError(f"{variable}: port {port} is taken; name a free one or leave the variable out")
        else:
            wanted = wanted if wanted <= LAST else FIRST_UNPRIVILEGED
            port = next(p for p in (*range(wanted, LAST + 1), *range(FIRST_UNPRIVILEGED, wanted)) if p not in used)
            if port != wanted:
                lines.append(f"{what} listens on port {port}: {wanted} is {_why(wanted, taken)}")
        used |= {port}
        return port

    engine = choose("SGLang", "VLLM_SHIM_SGLANG_PORT", public + 1)
    middleware = choose("the middleware", "VLLM_SHIM_MIDDLEWARE_PORT", public + 2)
    return Ports(public, engine, middleware), lines


def _why(port: int, taken: frozenset[int]) -> str:
    return "taken" if port in taken else "used by the stack" if port in RESERVED else "used by another part"


def _number(variable: str, text: str) -> int:
    if not text.isdecimal() or len(text) > LONGEST or not 1 <= int(text) <= LAST:
        raise CommandLineError(f"{variable} is '{text:.40}': give a port from 1 to {LAST}")
    return int(text)
