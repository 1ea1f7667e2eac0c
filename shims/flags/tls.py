"""TLS. haproxy speaks it, with the files that vLLM's flags name.
`render_config` makes haproxy's `bind` line of it, and `front_door` looks at the files before anything starts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Converter, Flag, Outcome, already, dropped, invalid, ours

CERTIFICATE = "--ssl-certfile"
REQUESTS = {1: "a client certificate is verified if there is one", 2: "a client certificate is required"}


def path(field: str, what: str) -> Converter:
    def convert(draft: Draft, value: str) -> Outcome:
        if re.search(r"[\r\n\0]", value):
            return invalid("the path holds a line break")
        paths: dict[str, Any] = {field: value}
        draft.tls = replace(draft.tls, **paths)
        return Outcome("ours", f"haproxy reads {what} from {value}")

    return convert


def keyfile(draft: Draft, value: str) -> Outcome:
    if not draft.given(CERTIFICATE):
        return invalid(f"without {CERTIFICATE} there is no TLS: give both, as vLLM asks for")
    return path("keyfile", "the key")(draft, value)


def ca_certs(draft: Draft, value: str) -> Outcome:
    if not draft.given(CERTIFICATE):
        return dropped(f"without {CERTIFICATE} there is no TLS, as in vLLM")
    if not draft.given("--ssl-cert-reqs"):
        return dropped("without --ssl-cert-reqs 1 or 2 no client certificate is asked for, as in vLLM")
    return path("ca_certs", "the authorities of client certificates")(draft, value)


def cert_reqs(draft: Draft, value: int) -> Outcome:
    """vLLM 0.33.0 starts with 2 and no TLS, and asks nobody for anything: who gives it must hear of that."""
    if value == 0:
        return already("vLLM's default: no client certificate is asked for")
    if value not in REQUESTS:
        return invalid(f"{value} is none of Python's: give 0 (none), 1 (optional) or 2 (required)")
    if not draft.given(CERTIFICATE):
        return invalid(f"without {CERTIFICATE} there is no TLS, and no client certificate is asked for")
    if not draft.given("--ssl-ca-certs"):
        return invalid("without --ssl-ca-certs no client certificate can be verified: name the authorities' file")
    draft.tls = replace(draft.tls, cert_reqs=value)
    return Outcome("ours", f"haproxy: {REQUESTS[value]}", "for every path, /health as well, as in vLLM")


def ciphers(draft: Draft, value: str) -> Outcome:
    if not re.fullmatch(r"[A-Za-z0-9:+!@=_,. -]+", value):
        return invalid(f"{value!r} is not a list of OpenSSL's cipher names, such as ECDHE-RSA-AES256-GCM-SHA384:...")
    if not draft.given(CERTIFICATE):
        return dropped(f"without {CERTIFICATE} there is no TLS, as in vLLM")
    draft.tls = replace(draft.tls, ciphers=value)
    return Outcome("ours", f"haproxy takes {value}", "for TLS 1.2; those of TLS 1.3 stay, as in vLLM")


def refresh(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default")
    if not draft.given(CERTIFICATE):
        return dropped(f"without {CERTIFICATE} there is no TLS, as in vLLM")
    draft.tls = replace(draft.tls, refresh=True)
    return Outcome("ours", "a renewed certificate is given to haproxy while it runs", "new authorities need a restart")


FLAGS: tuple[Flag, ...] = (
    ours(CERTIFICATE, path("certfile", "the certificate"), to="haproxy reads it"),
    ours("--ssl-keyfile", keyfile, to="haproxy reads it"),
    ours("--ssl-ca-certs", ca_certs, to="haproxy verifies clients by it, with --ssl-cert-reqs"),
    ours("--ssl-cert-reqs", cert_reqs, to="haproxy asks clients for a certificate"),
    ours("--ssl-ciphers", ciphers, to="haproxy takes them"),
    ours("--enable-ssl-refresh", refresh, to="a renewed certificate is given to haproxy while it runs"),
)
