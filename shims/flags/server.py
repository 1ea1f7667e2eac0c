"""The HTTP server: haproxy binds the address, the middleware checks the keys."""

from __future__ import annotations

import re

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, dropped, ours, refused


def host(draft: Draft, value: str) -> Outcome:
    if not re.fullmatch(r"[A-Za-z0-9.:%_-]*", value):
        return refused(f"'{value}' is not a host name or an address")
    draft.host = value
    return Outcome("ours", f"haproxy binds {value or 'all addresses'}", "SGLang listens on loopback only")


def port(draft: Draft, value: int) -> Outcome:
    if not 1 <= value <= 65535:
        return refused(f"{value} is not a port: give a number from 1 to 65535")
    draft.port = value
    return Outcome("ours", f"haproxy binds {value}")


def api_key(draft: Draft, value: list[str]) -> Outcome:
    draft.api_keys = tuple(filter(None, value))
    if not draft.api_keys:
        return dropped("an empty key asks for nothing, as in vLLM")
    return Outcome("ours", "the middleware checks it", "under /v1 and the other paths that vLLM guards")


FLAGS: tuple[Flag, ...] = (
    ours("--host", host),
    ours("--port", port),
    ours("--api-key", api_key, secret=True),
)
