"""Sends a request of ours through the table of routes once more, as another path would have had it.
Used by /invocations, which is many routes in one, by the batch of chats, which is one route many times, and by
/v1/messages and /v1/responses, which are chats in other words.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.dialect.ids import ID, assigned
from middleware.headers import Headers

# What `middleware.answers` puts on every answer: the outer one has it already, or gets it.
_DRESSING = (b"access-control-", b"x-request-id", b"vary")


def inner_scope(scope: Scope, path: str, body: bytes, headers: Iterable[tuple[bytes, bytes]] | None = None) -> Scope:
    kept = scope["headers"] if headers is None else headers
    inner: Headers = [(name, value) for name, value in kept if name not in (b"content-length", b"transfer-encoding")]
    raw = path.encode()
    return {
        "type": "http",
        "asgi": scope["asgi"],
        "http_version": scope["http_version"],
        "method": "POST",
        "scheme": scope["scheme"],
        "path": path,
        "raw_path": raw,
        "root_path": "",
        "query_string": b"",
        "headers": [*inner, (b"content-length", b"%d" % len(body))],
        "client": scope.get("client"),
        "server": scope.get("server"),
        ID: assigned(scope),  # one request in all logs, however many it becomes
    }


def replay(body: bytes, receive: Receive) -> Receive:
    """The body first, and then whatever else the client does: it leaves."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def with_body() -> Message:
        return waiting.pop() if waiting else await receive()

    return with_body


def undressed(start: Message) -> Message:
    return {**start, "headers": [pair for pair in start["headers"] if not pair[0].lower().startswith(_DRESSING)]}


class Repeated(Response):
    """What a request of ours was answered, once more: it has been counted."""


class Again(Repeated):
    """Whatever the other path answers, as it comes."""

    def __init__(self, app: ASGIApp, path: str, body: bytes, headers: Headers) -> None:
        super().__init__()
        self._app = app
        self._path = path
        self._content = body
        self._inner_headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def plain(message: Message) -> None:
            await send(undressed(message) if message["type"] == "http.response.start" else message)

        inner = inner_scope(scope, self._path, self._content, self._inner_headers)
        await self._app(inner, replay(self._content, receive), plain)


@dataclass(slots=True)
class Heard:
    """An answer of the table of routes, taken down."""

    status: int = 0
    body: bytearray = field(default_factory=bytearray)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")
