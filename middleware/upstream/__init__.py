"""An HTTP/1.1 client for one server: a pool of connections, and one exchange per request.
Used by `middleware.proxy`; it knows nothing of vLLM, SGLang or ASGI.

    pool = Pool("127.0.0.1", 8001)             # or Pool.unix("/run/server.sock")
    exchange = Exchange(pool)
    try:
        await exchange.open(head, body)        # connected, and the request is on its way
        answer = await exchange.answer()       # answer.status, answer.headers; answer(within=60.0) has a deadline
        while data := await answer.read():     # what has arrived since, in one piece
            ...
    finally:
        exchange.close()                       # back to the pool, or closed if not read to the end
"""

from middleware.upstream.connection import Connection
from middleware.upstream.exceptions import (
    Aborted,
    BadResponse,
    ConnectFailed,
    NoAnswer,
    UpstreamClosed,
    UpstreamError,
)
from middleware.upstream.exchange import Exchange
from middleware.upstream.pool import Pool

__all__ = [
    "Aborted",
    "BadResponse",
    "ConnectFailed",
    "Connection",
    "Exchange",
    "NoAnswer",
    "Pool",
    "UpstreamClosed",
    "UpstreamError",
]
