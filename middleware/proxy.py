"""The byte path: a client's request goes to SGLang and SGLang's answer comes back, both as they arrive.
A plain ASGI callable without objects of Starlette's; `middleware.app` calls it for every route that is forwarded.
"""

import asyncio
import logging
from collections.abc import Iterable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from middleware.answers import Answers
from middleware.engine import RETRY_SECONDS, Engine
from middleware.errors import Refused, error, stream_end, unavailable
from middleware.fields.edit import Editor
from middleware.headers import header, request_head, response_headers
from middleware.intake import BODY_LIMIT, ClientGone, announced, attend, first_piece, whole_body
from middleware.repair.guards import require_json
from middleware.routes import Route
from middleware.settings import Settings
from middleware.upstream import Aborted, ConnectFailed, Connection, Exchange, Pool, UpstreamError

log = logging.getLogger("middleware.proxy")

STOPPING = "The server is shutting down before the answer was finished. Please retry."
CUT_SHORT = "The engine failed before the answer was finished. Please retry."


class Proxy:
    __slots__ = ("_answers", "_editors", "_engine", "_limit", "_pool")

    def __init__(
        self, engine: Engine, pool: Pool, answers: Answers, routes: Iterable[Route], settings: Settings
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._answers = answers
        self._limit = settings.policy.max_request_body_bytes
        self._editors = {
            route.path: Editor(route.body, settings.strip_params, settings.policy)
            for route in routes
            if route.body is not None
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send, route: Route) -> None:
        refusal = self._engine.refusal()
        if refusal is not None:
            await refusal(scope, receive, self._answers.dressed(scope, send))
            return
        exchange = Exchange(self._pool)
        attendant: asyncio.Task[Refused | None] | None = None
        answer: Connection | None = None
        try:
            more = await self._open(exchange, scope, receive, route)
            attendant = asyncio.create_task(attend(receive, exchange, more=more))
            answer = await exchange.answer()
            headers = response_headers(answer.status, answer.headers)
            start = {"type": "http.response.start", "status": answer.status, "headers": headers}
            await self._answers.begin(scope, send, start)
            await self._relay(answer, send)
        except Refused as refused:
            await refused.response(scope, receive, self._answers.dressed(scope, send))
        except ClientGone:
            pass
        except Aborted:
            late = attendant.result() if attendant is not None and attendant.done() else None
            if late is not None and answer is None:
                await late.response(scope, receive, self._answers.dressed(scope, send))
        except UpstreamError as failure:
            # A failure in the middle of an answer never gets here: `_relay` has said what there was to say.
            log.warning("%s %s: %s", scope["method"], route.path, failure)
            await _failed(failure)(scope, receive, self._answers.dressed(scope, send))
        except Exception:
            # A fault of ours. Once an answer has begun there is nothing to add: uvicorn closes the connection.
            log.exception("%s %s", scope["method"], route.path)
            if answer is None:
                failed = error(500, "The middleware failed to forward this request.")
                await failed(scope, receive, self._answers.dressed(scope, send))
        except asyncio.CancelledError:
            # uvicorn cancels what outlives its grace; an answer that has begun was ended by `_relay`.
            if answer is None:
                await unavailable(STOPPING, RETRY_SECONDS)(scope, receive, self._answers.dressed(scope, send))
        finally:
            if attendant is not None:
                attendant.cancel()
            exchange.close()

    async def _open(self, exchange: Exchange, scope: Scope, receive: Receive, route: Route) -> bool:
        """Sends the request, or as much of it as there is; whether more is to come."""
        headers = scope["headers"]
        editor = self._editors.get(route.path)
        more = False
        length: int | None
        if editor is not None:
            require_json(headers)
            body = editor(await whole_body(receive, headers, self._limit or BODY_LIMIT))
            length = len(body)
        elif self._limit and announced(headers, self._limit) is None:
            # Its size is known only when it is here.
            body = await whole_body(receive, headers, self._limit)
            length = len(body) if body else None
        else:
            body, more = await first_piece(receive)
            declared = header(headers, b"content-length")
            length = int(declared) if declared is not None else None
            if length is None and body and not more:
                length = len(body)
        query: bytes = scope["query_string"]
        target: bytes = scope["raw_path"] + b"?" + query if query else scope["raw_path"]
        method: str = scope["method"]
        chunked = more and length is None
        head = request_head(method, target, self._pool.authority, headers, length=length, chunked=chunked)
        await exchange.open(head, body, head_only=method == "HEAD", whole=not more, chunked=chunked)
        return more

    async def _relay(self, answer: Connection, send: Send) -> None:
        """Sends on each piece as it arrives, and ends honestly: whole, or with an error event, or cut off."""
        message = {"type": "http.response.body", "body": b"", "more_body": True}
        read = answer.read
        data = b""
        try:
            while True:
                data = await read()
                message["body"] = data
                if answer.complete:
                    message["more_body"] = False
                    await send(message)
                    return
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
            # The last event may have come in half; a blank line ends it, so that ours is one of its own.
            await send(
                {"type": "http.response.body", "body": (b"" if data.endswith(b"\n\n") else b"\n\n") + last_words}
            )
        # Anything else is left unfinished, and uvicorn closes the connection: nobody takes a part for the whole.


def _is_open_stream(answer: Connection) -> bool:
    """Whether an event can be added to what was sent: events, in the clear, of no announced length."""
    kind = header(answer.headers, b"content-type") or b""
    return (
        kind.startswith(b"text/event-stream")
        and header(answer.headers, b"content-length") is None
        and header(answer.headers, b"content-encoding") is None
    )


def _failed(failure: UpstreamError) -> Response:
    if isinstance(failure, ConnectFailed):
        return unavailable("The engine cannot be reached. Please retry.", RETRY_SECONDS)
    return error(502, "The engine failed before it answered. Please retry.")
