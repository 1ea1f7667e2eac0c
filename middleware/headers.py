"""Which headers pass from the client to SGLang and back, and how a request's head is written.
Called by `middleware.proxy` for every forwarded request.
"""

from collections.abc import Iterable, Sequence

Headers = Sequence[tuple[bytes, bytes]]

# Of one connection only (RFC 9110, 7.6.1), besides whatever `Connection` names.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# haproxy's name for a request (`middleware.dialect.ids`).
ASSIGNED_ID = b"x-shim-request-id"
REQUEST_DROPS = HOP_BY_HOP | {
    ASSIGNED_ID,
    # Keys are checked here. Clients of an open server send `Bearer None`, which SGLang would compare with its own key.
    b"authorization",
    # Written anew: the body may have been edited.
    b"content-length",
    # Answered by uvicorn when we ask for the body.
    b"expect",
    b"host",
}
RESPONSE_DROPS = HOP_BY_HOP | {
    # SGLang 0.5.23 lets every page of the world in, with credentials; who may is said by `middleware.answers`.
    b"access-control-allow-credentials",
    b"access-control-allow-headers",
    b"access-control-allow-methods",
    b"access-control-allow-origin",
    b"access-control-expose-headers",
    b"access-control-max-age",
    # vLLM says nothing of it; its answers and ours are to requests that no cache keeps.
    b"cache-control",
    # uvicorn, which serves us as it serves vLLM and SGLang, adds its own.
    b"date",
    b"server",
}
RANK = b"x-data-parallel-rank"
RANK_DIGITS = 9  # no server has more, and the scheduler's numbers are of 32 bits
# Without a body whatever their headers say: uvicorn insists on as many bytes as a content-length promises.
BODYLESS_STATUSES = frozenset({204, 304})


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header; names are lower case on both sides of us."""
    for key, value in headers:
        if key == name:
            return value
    return None


def request_head(
    method: str, target: bytes, host: str, headers: Headers, *, length: int | None, chunked: bool = False
) -> bytes:
    """The bytes of a request up to its body, of `length` bytes, in chunks, or (neither) without one.

    Raises ValueError for a line that would be two: what comes behind would be a request of its own, of any route.
    """
    drops = _without_named(REQUEST_DROPS, headers)
    lines = [b"%b %b HTTP/1.1\r\n" % (method.encode(), target), b"host: %b\r\n" % host.encode()]
    lines += [b"%b: %b\r\n" % (name, value) for name, value in headers if name not in drops and _is_sense(name, value)]
    if length is not None:
        lines.append(b"content-length: %d\r\n\r\n" % length)
    elif chunked:
        lines.append(b"transfer-encoding: chunked\r\n\r\n")
    else:
        lines.append(b"\r\n")
    head = b"".join(lines)
    ends = len(lines) + (length is not None or chunked)
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise ValueError("a line of a request's head holds the end of a line")
    return head


def rank(headers: Headers) -> int | None:
    """Of data parallelism, where a router has chosen one."""
    value = (header(headers, RANK) or b"").strip()
    return int(value) if value.isdigit() and len(value) <= RANK_DIGITS else None


def _is_sense(name: bytes, value: bytes) -> bool:
    """vLLM overlooks a rank that is no number, SGLang 0.5.23 answers 400 to it."""
    return name != RANK or value.strip().isdigit()


def response_headers(status: int, headers: Headers) -> list[tuple[bytes, bytes]]:
    """What goes on to the client, duplicates and order kept."""
    drops: Iterable[bytes] = _without_named(RESPONSE_DROPS, headers)
    if status in BODYLESS_STATUSES:
        drops = {*drops, b"content-length"}
    return [
        (name, value) for name, value in headers if name not in drops and not (name == b"vary" and value == b"Origin")
    ]


def whole_headers(status: int, headers: Headers, length: int) -> list[tuple[bytes, bytes]]:
    """Of an answer that is written anew: an error is always JSON, as vLLM has it, whatever SGLang wrote."""
    drops = (b"content-length", b"content-type") if status >= 400 else (b"content-length",)
    kept = [(name, value) for name, value in response_headers(status, headers) if name not in drops]
    if status >= 400:
        kept.append((b"content-type", b"application/json"))
    return [*kept, (b"content-length", b"%d" % length)]


def _without_named(drops: frozenset[bytes], headers: Headers) -> frozenset[bytes]:
    for name, value in headers:
        if name == b"connection":
            drops |= {token.strip().lower() for token in value.split(b",")}
    return drops
