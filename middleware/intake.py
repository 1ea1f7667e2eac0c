"""Takes the request in from the client: whole, where it is edited, or as it comes; and notices when the client leaves.
Called by `middleware.proxy`; `receive` is ASGI's.
"""

import asyncio

from starlette.types import Receive

from middleware.errors import Refused
from middleware.headers import Headers, header
from middleware.repair.guards import too_large, too_slow
from middleware.upstream import Exchange

# What is edited is held in memory. vLLM has no limit; a request of this size has no honest reason.
BODY_LIMIT = 256 * 1024 * 1024
# How long a client may send nothing in the middle of its body. haproxy lets it be silent for as long as an answer may
# take, and each one that is holds one of its connections, which the probes need too.
BODY_IDLE_SECONDS = 30.0


class ClientGone(Exception):
    """The client closed the connection before it had sent its request."""


async def first_piece(receive: Receive, *, here: bool = False) -> tuple[bytes, bool]:
    """What has arrived of the body, and whether more will: a small body is whole here, and may be sent twice.

    `here` promises that something has, so that nobody has to watch the clock.
    """
    if here:
        message = await receive()
    else:
        try:
            async with asyncio.timeout(BODY_IDLE_SECONDS):
                message = await receive()
        except TimeoutError:
            raise too_slow(BODY_IDLE_SECONDS) from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def announced(headers: Headers, limit: int) -> int | None:
    """The body's length, if the client says it; more than the limit is refused before any of it is read."""
    declared = header(headers, b"content-length")
    if declared is None or not declared.isdigit():
        return None
    if int(declared) > limit:
        raise too_large(limit)
    return int(declared)


async def whole_body(receive: Receive, headers: Headers, limit: int = BODY_LIMIT, *, here: bool = False) -> bytes:
    """`here` promises that all of it has arrived."""
    announced(headers, limit)
    body, more = await first_piece(receive, here=here)
    if not more:
        if len(body) > limit:
            raise too_large(limit)
        return body
    pieces = [body]
    size = len(body)
    while more:
        body, more = await first_piece(receive)
        pieces.append(body)
        size += len(body)
        if size > limit:
            raise too_large(limit)
    return b"".join(pieces)


async def attend(receive: Receive, exchange: Exchange, *, more: bool) -> Refused | None:
    """One task a request: sends on what is still to come of the body, and closes upstream when the client leaves.

    Or when it stops in the middle of its body: it is still there, and to be told what is returned.
    """
    late = None
    try:
        if more:
            while more:
                piece, more = await first_piece(receive)
                await exchange.write(piece)
            await exchange.end()
        while (await receive())["type"] != "http.disconnect":
            pass
    except ClientGone:
        pass
    except Refused as refused:
        late = refused
    exchange.abort()
    return late
