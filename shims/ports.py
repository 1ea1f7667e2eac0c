"""Which port each part listens on. Called by `plan`; the machine's taken ports come with the facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from shims.exceptions import CommandLineError, StartError
from shims.values.whole import whole

# Ports that the production stack uses inside the pod or beside it: LMCache's controller and NIXL, the LoRA sidecar.
RESERVED = frozenset({9000, 9999, 30090, 55555})
PAGE = "VLLM_SHIM_PAGE"
LAST = 65535
FIRST_UNPRIVILEGED = 1024


@dataclass(frozen=True, slots=True)
class Ports:
    public: int
    engine: int
    middleware: int
    page: int = 0  # for people; 0: there is none


def allocate(public: int, taken: frozenset[int], env: Mapping[str, str]) -> tuple[Ports, list[str]]:
    """Public port N, SGLang N+1, middleware N+2, each moved if it cannot be had; a line for every move."""
    page = _number(PAGE, given) if (given := env.get(PAGE)) else 0
    used = taken | RESERVED | {public, page}
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
    return with_page(Ports(public, engine, middleware), page, PAGE, taken), lines


def with_page(where: Ports, page: int, who: str, taken: frozenset[int]) -> Ports:
    """`who` asks for the page; without a port there is none. Raises StartError."""
    if page in {where.public, where.engine, where.middleware}:
        raise StartError(f"{who}: port {page} is that of another part of the server; name a free one")
    if page in taken:
        raise StartError(f"{who}: port {page} is taken by another process; name a free one")
    return replace(where, page=page)


def of_members(given: Sequence[int], where: Ports, taken: frozenset[int]) -> list[int]:
    """One for each of several models: its own where it names one, else N+1, N+3, N+4 and on.

    Raises StartError for one that is taken.
    """
    if busy := next((port for port in given if port in taken), None):
        raise StartError(
            f"port {busy} of a model is taken by another process: stop that, or give the model another port"
        )
    used = taken | RESERVED | {where.public, where.middleware, where.page, *given}
    chosen: list[int] = []
    wanted = where.engine
    for own in given:
        port = own or next(p for p in (*range(wanted, LAST + 1), *range(FIRST_UNPRIVILEGED, wanted)) if p not in used)
        used |= {port}
        chosen.append(port)
    return chosen


def _why(port: int, taken: frozenset[int]) -> str:
    return "taken" if port in taken else "used by the stack" if port in RESERVED else "used by another part"


def _number(variable: str, text: str) -> int:
    port = whole(text)
    if port is None or not 1 <= port <= LAST:
        raise CommandLineError(f"{variable} is '{text:.40}': give a port from 1 to {LAST}")
    return port
