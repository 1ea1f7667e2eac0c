"""The body of an answer on its way to the client: each piece as it arrives, and an honest end.
Called by `middleware.proxy` for whatever is not read whole.
"""

import asyncio
import logging

from starlette.types import Send

from middleware.dialect.events import Events
from middleware.errors import stream_end
from middleware.headers import header
from middleware.upstream import Aborted, Connection, UpstreamError

log = logging.getLogger("middleware.proxy")

STOPPING = "The server is shutting down before the answer was finished. Please retry."
CUT_SHORT = "The engine failed before the answer was finished. Please retry."


async def relay(answer: Connection, send: Send, events: Events | None) -> None:
    """It ends whole, or with an error event, or cut off."""
    message = {"type": "http.response.body", "body": b"", "more_body": True}
    read = answer.read
    feed = events.feed if events is not None else None
    data = b""
    try:
        while True:
            data = await read()
            if feed is not None:
                data = feed(data)
            if answer.complete:
                message["body"] = data if events is None else data + events.finish()
                message["more_body"] = False
                await send(message)
                return
            if data:
                message["body"] = data
                await send(message)
    except Aborted:
        return
    except UpstreamError as failure:
        log.warning("the answer was cut short: %s", failure)
        last_words = stream_end(502, CUT_SHORT)
    except asyncio.CancelledError:
        data = b""  # Whether it was sent is not known.
        last_words = stream_end(503, STOPPING)
    if _is_open_stream(answer):
        if events is not None:
            last_words = events.cut() + last_words
        # The last event may have come in half; a blank line ends it, so that ours is one of its own.
        elif not data.endswith(b"\n\n"):
            last_words = b"\n\n" + last_words
        await send({"type": "http.response.body", "body": last_words})
    # Anything else is left unfinished, and uvicorn closes the connection: nobody takes a part for the whole.


def _is_open_stream(answer: Connection) -> bool:
    """Whether an event can be added to what was sent: events, in the clear, of no announced length."""
    kind = header(answer.headers, b"content-type") or b""
    return (
        kind.startswith(b"text/event-stream")
        and header(answer.headers, b"content-length") is None
        and header(answer.headers, b"content-encoding") is None
    )
