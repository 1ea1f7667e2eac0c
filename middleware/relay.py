"""The body of an answer on its way to the client: each piece as it arrives, and an honest end.
Called by `middleware.proxy` for whatever is not read whole.
"""

import asyncio
import logging
from time import monotonic

from starlette.types import Send

from middleware.client import Client
from middleware.dialect.ends import Passing
from middleware.dialect.events import Events
from middleware.errors import stream_end
from middleware.errors_log import RECORD
from middleware.flow import Flow
from middleware.headers import header
from middleware.upstream import Aborted, Connection, UpstreamError

log = logging.getLogger("middleware.proxy")

Edits = Events | Passing

STOPPING = "The server is shutting down before the answer was finished. Please retry."
CUT_SHORT = "The engine failed before the answer was finished. Please retry."


async def relay(
    answer: Connection, send: Send, events: Edits | None, client: Client | None, flow: Flow, name: str
) -> bool:
    """It ends whole, or with an error event, or cut off. Whether it is SGLang that has failed. `name`: of the request,
    for the log."""
    broken = False
    pipe = _Pipe(answer, events, client, flow) if client is not None and client.takes_chunks else None
    data = b""
    try:
        if pipe is not None:
            await pipe.run()
        while True:
            data = await answer.read()
            flow.last = monotonic()
            if events is not None:
                data = events.feed(data)
            if answer.complete:
                end = data if events is None else data + events.finish()
                await send({"type": "http.response.body", "body": end, "more_body": False})
                return False
            if data:
                await send({"type": "http.response.body", "body": data, "more_body": True})
    except Aborted:
        return False
    except UpstreamError as failure:
        log.warning("%s: the answer was cut short: %s", name, failure)
        if (record := RECORD.get()) is not None:
            record.cut_short = CUT_SHORT
        broken = True
        last_words = stream_end(502, CUT_SHORT)
    except asyncio.CancelledError as order:
        data = b""  # Whether it was sent is not known.
        last_words = stream_end(503, ended_by(order))
    if _is_open_stream(answer):
        if isinstance(events, Events):
            last_words = events.cut() + last_words
        # The last event may have come in half; a blank line ends it, so that ours is one of its own.
        elif not (data or (pipe.last if pipe is not None else b"")).endswith(b"\n\n"):
            last_words = b"\n\n" + last_words
        await send({"type": "http.response.body", "body": last_words})
    # Anything else is left unfinished, and uvicorn closes the connection: nobody takes a part for the whole.
    return broken


class Why(str):
    """What is said to the client of an answer that is cancelled for it; uvicorn's own words are not for clients."""

    __slots__ = ()


def ended_by(order: asyncio.CancelledError) -> str:
    """Who cancels an answer for another reason than that we stop says so."""
    return next((why for why in order.args if isinstance(why, Why)), STOPPING)


class _Pipe:
    """From SGLang's connection to the client's without a task between them: all but the last piece of an answer."""

    __slots__ = ("_answer", "_client", "_events", "_fault", "_flow", "last")

    def __init__(self, answer: Connection, events: Edits | None, client: Client, flow: Flow) -> None:
        self._answer = answer
        self._events = events
        self._client = client
        self._fault: Exception | None = None
        self._flow = flow
        self.last = b""

    async def run(self) -> None:
        self._client.when_drained(self._answer.go_on)
        try:
            await self._answer.pour(self._pass_on)
        except Aborted:
            if self._fault is not None:
                raise self._fault from None
            raise
        finally:
            self._client.when_drained(None)

    def _pass_on(self, data: bytes) -> bool:
        self._flow.last = monotonic()
        try:
            self.last = data = data if self._events is None else self._events.feed(data)
            return self._client.write(data)
        except Exception as fault:
            self._fault = fault  # Ours, and not to be raised into the event loop.
            self._answer.abort()
            return True


def _is_open_stream(answer: Connection) -> bool:
    """Whether an event can be added to what was sent: events, in the clear, of no announced length."""
    kind = header(answer.headers, b"content-type") or b""
    return (
        kind.startswith(b"text/event-stream")
        and header(answer.headers, b"content-length") is None
        and header(answer.headers, b"content-encoding") is None
    )
