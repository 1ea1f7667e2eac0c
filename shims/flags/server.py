"""The HTTP server. haproxy binds the address and drains, the middleware checks the keys and keeps the paths.
`flags` puts these records into the table; `tls`, `cors` and `answers` hold the rest of vLLM's frontend.
"""

from __future__ import annotations

import re

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, drop, invalid, ours, refuse
from shims.values.whole import A_DAY

# haproxy 2.6.12 keeps ten bytes of a socket's 108 for a name of its own.
LONGEST_UNIX_SOCKET = 97
NO_ASGI = (
    "SGLang runs in a process of its own and this front door takes no ASGI middleware; do what it does in a gateway"
)
BLANK_KEY = "a key of white space protects nothing: no client can send it; is a variable unset?"


def host(draft: Draft, value: str) -> Outcome:
    if not re.fullmatch(r"[A-Za-z0-9.:%_-]*", value):
        return invalid(f"{value!r} is not a host name or an address")
    draft.host = value
    if draft.given("--uds"):
        return already("--uds is given: host and port are not used, as in vLLM")
    return Outcome("ours", f"haproxy binds {value or 'all addresses'}", "SGLang listens on loopback only")


def port(draft: Draft, value: int) -> Outcome:
    if not 1 <= value <= 65535:
        return invalid(f"{value} is not a port: give a number from 1 to 65535")
    draft.port = value
    if draft.given("--uds"):
        return already("--uds is given: host and port are not used, as in vLLM; the inner ports lie behind it")
    return Outcome("ours", f"haproxy binds {value}")


def uds(draft: Draft, value: str) -> Outcome:
    """haproxy 2.6.12 reads commas, dollar signs and at signs of an address as its own."""
    if not re.fullmatch(r"[A-Za-z0-9_./+=:~ -]+", value):
        return invalid(f"{value!r} is not a path for a socket: give one of letters, digits and any of _ . / + = : ~ -")
    if len(value) > LONGEST_UNIX_SOCKET:
        return invalid(f"the path has {len(value)} characters, and haproxy takes {LONGEST_UNIX_SOCKET}")
    draft.unix_socket = value
    return Outcome("ours", f"haproxy binds {value}", "no TCP port listens beyond loopback, as in vLLM")


def api_key(draft: Draft, value: list[str]) -> Outcome:
    draft.api_keys = tuple(filter(None, value))
    if any(not key.strip() for key in draft.api_keys):
        return invalid(BLANK_KEY)
    if not draft.api_keys:
        return already("an empty key asks for nothing, as in vLLM")
    return Outcome("ours", "the middleware checks it", "under /v1 and the other paths that vLLM guards")


def root_path(draft: Draft, value: str) -> Outcome:
    """vLLM 0.33.0 answers with and without it; one that does not begin with a slash matches no path there."""
    path = value.rstrip("/")
    if not path:
        return already("the root asks for nothing")
    if not path.startswith("/"):
        return already("it does not begin with a slash and is taken off no path, as in vLLM")
    if not re.fullmatch(r"[A-Za-z0-9/._~%+-]+", path):
        return invalid(f"{value!r} is not a path: give one such as /api")
    draft.ask(root_path=path)
    return Outcome("ours", f"{path} is taken off a path that begins with it", "the path without it works as well")


def request_id_headers(draft: Draft, value: bool) -> Outcome:
    draft.ask(request_id_headers=value)
    return Outcome("ours", "the middleware sends X-Request-Id") if value else already("off by default")


def load_tracking(draft: Draft, value: bool) -> Outcome:
    draft.ask(load_tracking=value)
    return Outcome("ours", "the middleware counts and answers /load") if value else already("off by default")


def no_documents(draft: Draft, value: bool) -> Outcome:
    draft.ask(documents=not value)
    return Outcome("ours", "/docs, /redoc and /openapi.json do not exist") if value else already("off by default")


def shutdown_timeout(draft: Draft, value: int) -> Outcome:
    """vLLM 0.33.0: so long may running requests go on after SIGTERM; 0, its default, aborts them at once."""
    if value < 0:
        return invalid(f"{value} is less than 0: give a number of seconds")
    draft.drain_seconds = min(value, A_DAY)
    if draft.env.get("VLLM_SHIM_DRAIN_SECONDS"):
        return Outcome("drop", note="VLLM_SHIM_DRAIN_SECONDS is set and wins")
    until = f"running requests have {draft.drain_seconds} s to finish" if value else "running requests are cut"
    return Outcome("ours", f"on SIGTERM {until}", "a lame duck's seconds are part of it")


def config(draft: Draft, value: str) -> Outcome:
    """Read by `config_file` before anything was parsed."""
    return Outcome("ours", "its flags stand in this list")


def scale_out(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default")
    draft.ask(scale_out=True)
    note = "/inference/v1/generate and its abort_requests; the render and derender routes answer 501"
    return Outcome("ours", "the middleware serves tokens in, tokens out", note)


TOKENS_ONLY = (
    "SGLang needs its tokenizer, and has the other routes in any case; give --enable-scale-out, which serves "
    "/inference/v1/generate beside them"
)
FLAGS: tuple[Flag, ...] = (
    ours("--config", config, to="its flags are read as if they stood before the others"),
    ours("--host", host, to="haproxy binds it"),
    ours("--port", port, to="haproxy binds it"),
    ours("--uds", uds, to="haproxy binds it"),
    ours("--api-key", api_key, to="the middleware checks it", secret=True),
    ours("--root-path", root_path, to="the middleware takes it off"),
    refuse("--middleware", NO_ASGI, firm=True),  # often it is what keeps strangers out
    ours("--enable-request-id-headers", request_id_headers, to="the middleware sends X-Request-Id"),
    ours("--enable-server-load-tracking", load_tracking, to="the middleware counts and answers /load"),
    ours("--shutdown-timeout", shutdown_timeout, to="haproxy drains for so long; 0 cuts what runs"),
    ours("--disable-fastapi-docs", no_documents, to="/docs, /redoc and /openapi.json do not exist"),
    drop("--enable-offline-docs", "the scripts of /docs come from a CDN; /openapi.json needs none"),
    drop("--h11-max-incomplete-event-size", "haproxy takes a request head of up to 64 kB"),
    drop("--h11-max-header-count", "haproxy takes up to 256 headers"),
    drop("--disable-frontend-multiprocessing", "the front door is a process of its own in any case"),
    refuse("--grpc", "this image speaks HTTP only; call vLLM's HTTP API, or keep vLLM for gRPC"),
    refuse("--grpc-port", "this image speaks HTTP only; call vLLM's HTTP API, or keep vLLM for gRPC"),
    refuse("--tokens-only", TOKENS_ONLY),
    ours("--enable-scale-out", scale_out, to="the middleware serves /inference/v1/generate"),
)
