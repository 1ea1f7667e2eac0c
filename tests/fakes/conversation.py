"""HTTP/1.1 for the stand-in: one asyncio protocol that parses requests and writes answers, and nothing of an engine.
Used by `tests.fakes.sglang`.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, cast

import httptools

Pairs = list[tuple[str, str]]


class Request:
    def __init__(self) -> None:
        self.method = ""
        self.target = ""
        self.headers: Pairs = []
        self.body = bytearray()

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.headers if key.lower() == name), default)

    def json(self) -> Any:
        return json.loads(self.body)


Handler = Callable[[Request, "Conversation"], Awaitable[None]]
EarlyHandler = Callable[[Request, "Conversation"], bool]


class Conversation(asyncio.Protocol):
    """One client connection. `early` may answer before the body has come; `handle` answers otherwise."""

    def __init__(self, handle: Handler, early: EarlyHandler, gone: Callable[[], None]) -> None:
        self._handle = handle
        self._early = early
        self._gone = gone
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._answered_early = False
        self._writable = asyncio.Event()
        self._writable.set()
        self.request = Request()
        self.status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not instances of it
        self.peer = transport.get_extra_info("peername")
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if self._task is not None and not self._task.done():
            self._gone()
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.answer(400, b"Bad Request", close=True)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # What the parser does with it.

    def on_message_begin(self) -> None:
        self.request = Request()
        self._answered_early = False

    def on_url(self, url: bytes) -> None:
        self.request.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.request.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.request.method = self._parser.get_method().decode()
        self._answered_early = self._early(self.request, self)

    def on_body(self, body: bytes) -> None:
        self.request.body += body

    def on_message_complete(self) -> None:
        if not self._answered_early:
            self._task = asyncio.get_running_loop().create_task(self._run(self.request))

    async def _run(self, request: Request) -> None:
        await self._handle(request, self)

    # How to answer.

    def head(self, status: int, headers: Pairs) -> None:
        self.status = status
        if origin := self.request.header("origin"):
            # SGLang 0.5.23 lets every page in, and has no flag for it.
            headers = [
                *headers,
                ("access-control-allow-origin", origin),
                ("access-control-allow-credentials", "true"),
            ]
        phrase = HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers), "", ""]
        self.transport.write("\r\n".join(lines).encode("latin-1"))

    def answer(
        self,
        status: int,
        body: bytes,
        headers: Pairs | None = None,
        *,
        content_type: str = "application/json",
        close: bool = False,
        length: int | None = None,
    ) -> None:
        pairs = [("server", "uvicorn"), ("date", "Sat, 21 Nov 2026 07:56:06 GMT"), ("vary", "Origin")]
        pairs.append(("content-length", str(len(body) if length is None else length)))
        if content_type:
            pairs.append(("content-type", content_type))
        self.head(status, pairs + (headers or []) + ([("connection", "close")] if close else []))
        self.transport.write(body)
        if close:
            self.transport.close()

    def begin_stream(self, content_type: str = "text/event-stream; charset=utf-8") -> None:
        self.head(200, [("server", "uvicorn"), ("content-type", content_type), ("Transfer-Encoding", "chunked")])

    async def chunk(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        if not self._writable.is_set():
            await self._writable.wait()

    def end_stream(self) -> None:
        self.transport.write(b"0\r\n\r\n")

    def cut(self) -> None:
        self.transport.abort()
