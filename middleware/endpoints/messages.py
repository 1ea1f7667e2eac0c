"""/v1/messages and /v1/messages/count_tokens: Anthropic's API as vLLM 0.33.0 has it, by way of a chat.
Called through the table of routes; the chat goes through the table once more, and its answer comes back as a message.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from middleware import tokens
from middleware.again import inner_scope, replay, undressed
from middleware.anthropic import answer, schema
from middleware.anthropic.request import chat
from middleware.anthropic.stream import MessageStream
from middleware.aside import aside
from middleware.calls import while_connected
from middleware.context import Context
from middleware.dialect.events import MISSHAPEN, decode, encode
from middleware.dialect.reply import JSON, STREAM
from middleware.dialect.sentences import too_long
from middleware.endpoints.invocations import CHAT
from middleware.errors import Refused, bad_request, error
from middleware.fields.kinds import FieldType
from middleware.form import decoded, json_body
from middleware.headers import header

T = TypeVar("T")

# Of a request that the operator strips of fields vLLM still asks for these.
KEPT = frozenset({"model", "messages", "max_tokens"})
# What the prompt of a chat depends on, of those that a message can be made into.
RENDERED = ("messages", "tools", "tool_choice", "chat_template_kwargs", "reasoning_effort")


async def messages(context: Context, request: Request) -> Response:
    try:
        context.engine.require_admission()
        kind = schema.messages(context.settings.policy.max_stop_strings)
        content, stops = await _read(context, request, kind, lambda body: (encode(body), "stop" in body))
    except Refused as refusal:
        raise answer.refused(refusal) from refusal
    return _Asked(context, content, stops=stops)


async def count_tokens(context: Context, request: Request) -> Response:
    try:
        context.engine.require_admission()
        body = await _read(context, request, schema.COUNTED, lambda body: body)
        context.model.require(body["model"])
        work = tokens.of_chat(context, body, generation=True, special=False, names=RENDERED)
        counted = len(await while_connected(request.receive, work))
        limit = context.model.context_length
        if limit is not None and counted > limit:
            raise bad_request(too_long(counted, limit, is_ids=False))
    except Refused as refusal:
        raise answer.refused(refusal) from refusal
    return JSONResponse({"input_tokens": counted, "context_management": {"original_input_tokens": counted}})


async def _read(context: Context, request: Request, kind: FieldType, of_chat: Callable[[dict[str, Any]], T]) -> T:
    """Of the chat that is asked for, or Refused."""
    policy = context.settings.policy
    strip = context.settings.strip_params - KEPT
    content = await json_body(request, policy)

    def read() -> T:
        asked = schema.taken(kind, decoded(content))
        for name in strip:
            asked.pop(name, None)
        return of_chat(chat(asked, context.traits(), policy))

    return await aside(len(content), read)


class _Asked(Response):
    """Asks the table of chat, and tells what it answers: a stream as it comes, anything else when it is whole."""

    def __init__(self, context: Context, content: bytes, *, stops: bool) -> None:
        super().__init__()
        self._app = context.again
        self._content = content
        self._stops = stops

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        telling = _Telling(send, stops=self._stops)
        await self._app(inner_scope(scope, CHAT, self._content), replay(self._content, receive), telling.send)


class _Telling:
    """An ASGI `send` for the inner answer, in front of the client's."""

    def __init__(self, send: Send, *, stops: bool) -> None:
        self._send = send
        self._stops = stops
        self._start: Message = {}
        self._events: MessageStream | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = undressed(message)
            kind = header(self._start["headers"], b"content-type") or b""
            if message["status"] == 200 and kind.startswith(STREAM):
                self._events = MessageStream(stops=self._stops)
                await self._send(self._start)
            return
        data, more = message.get("body", b""), message.get("more_body", False)
        if self._events is None:
            self._body += data
            if not more:
                await self._whole()
            return
        told = self._events.feed(data) + (b"" if more else self._events.finish())
        if told or not more:
            await self._send({"type": "http.response.body", "body": told, "more_body": more})

    async def _whole(self) -> None:
        status, body = _told(self._start["status"], bytes(self._body))
        kept = [pair for pair in self._start["headers"] if pair[0] not in (b"content-length", b"content-type")]
        headers = [*kept, (b"content-length", b"%d" % len(body)), (b"content-type", JSON)]
        await self._send({**self._start, "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _told(status: int, body: bytes) -> tuple[int, bytes]:
    if status >= 400:
        return status, answer.retold(status, body)
    try:
        whole: Mapping[str, Any] = decode(body)
        return status, encode(answer.message(whole))
    except Refused as refusal:
        response = answer.refused(refusal).response
    except (*MISSHAPEN, msgspec.MsgspecError, RecursionError):
        response = answer.refused(Refused(error(502, "The engine's answer cannot be read."))).response
    return response.status_code, bytes(response.body)
