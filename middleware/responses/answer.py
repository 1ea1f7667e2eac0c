"""The answer to a request of /v1/responses: the chat's that it became, told as a response, event by event or whole.
Made by `middleware.endpoints.responses`; the chat goes through the table of routes as any other.
"""

import logging
from typing import Any

import msgspec
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.again import inner_scope, replay, undressed
from middleware.dialect.events import MISSHAPEN, decode, encode
from middleware.errors import error
from middleware.headers import Headers, header
from middleware.responses import output
from middleware.responses.asking import Asked
from middleware.responses.events import ResponseEvents
from middleware.responses.whole import response, usage

log = logging.getLogger("middleware.responses")

CHAT = "/v1/chat/completions"
# What a chat's errors are about, by the name that it has here.
NAMES = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text",
    "reasoning_effort": "reasoning",
    "truncate_prompt_tokens": "truncation",
}


class Answered(Response):
    def __init__(self, app: ASGIApp, asked: Asked) -> None:
        super().__init__()
        self._app = app
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The id is the response's own, whatever the header says.
        headers = [item for item in scope["headers"] if item[0] != b"x-request-id"]
        inner = inner_scope(scope, CHAT, self._asked.chat, headers)
        answer = _Answer(self._asked, scope, receive, send)
        await self._app(inner, replay(self._asked.chat, receive), answer.heard)


class _Answer:
    """Hears the chat's answer, and sends the response's. The head of a stream waits for its first event."""

    __slots__ = ("_asked", "_body", "_client", "_ended", "_events", "_start", "_started")

    def __init__(self, asked: Asked, *client: Any) -> None:
        self._asked = asked
        self._client: tuple[Scope, Receive, Send] = client
        self._start: Message = {}
        self._started = False
        self._ended = False
        self._body = bytearray()
        self._events: ResponseEvents | None = None

    async def heard(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = undressed(message)
            if message["status"] == 200 and _is_stream(message["headers"]):
                self._events = ResponseEvents(self._asked)
            return
        data, more = message.get("body", b""), message.get("more_body", False)
        if self._events is not None:
            await self._streamed(self._events, data, more)
            return
        self._body += data
        if not more:
            await self._whole()

    async def _streamed(self, events: ResponseEvents, data: bytes, more: bool) -> None:
        told = events.feed(data)
        if not more:
            told += events.finish()
        if self._ended or (more and not told and events.refusal is None):
            return
        if events.refusal is not None:
            self._ended = True
            await self._answer(_refused(events.refusal))
            return
        send = self._client[2]
        if not self._started:
            self._started = True
            await send(self._start)
        await send({"type": "http.response.body", "body": told, "more_body": more})

    async def _whole(self) -> None:
        status = self._start["status"]
        try:
            given = decode(bytes(self._body))
            said = _refusal(given) if status != 200 else _response(given, self._asked)
            content = encode(said)
        except (*MISSHAPEN, msgspec.MsgspecError, RecursionError) as exc:
            log.warning("a chat's answer cannot be told as a response: %s", type(exc).__name__)
            await self._answer(error(502, "The engine's answer cannot be read."))
            return
        kept = [item for item in self._start["headers"] if item[0].lower() != b"content-length"]
        headers: Headers = [*kept, (b"content-length", b"%d" % len(content))]
        send = self._client[2]
        await send({**self._start, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, answer: Response) -> None:
        await answer(*self._client)


def _is_stream(headers: Headers) -> bool:
    return (header(headers, b"content-type") or b"").startswith(b"text/event-stream")


def _response(answer: dict[str, Any], asked: Asked) -> dict[str, Any]:
    choice, counted = answer["choices"][0], answer["usage"]
    return response(
        asked,
        created_at=answer["created"],
        model=answer["model"],
        output=output.items(choice, asked),
        status=output.status_of(choice["finish_reason"]),
        usage=usage(counted),
        max_output_tokens=asked.room(counted["prompt_tokens"]),
    )


def _refused(given: dict[str, Any]) -> Response:
    """SGLang's, told as an event where nothing else had been."""
    code = given["error"].get("code")
    return JSONResponse(_refusal(given), code if isinstance(code, int) and 400 <= code < 600 else 500)


def _refusal(given: Any) -> Any:
    """A chat's, by the names that the client knows."""
    told = given.get("error") if isinstance(given, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("param"), str):
        return given
    param: str = told["param"]
    name = param.removeprefix("body.").partition(".")[0]
    if name not in NAMES:
        return given
    message = str(told["message"]).replace(name, NAMES[name])
    return {**given, "error": {**told, "message": message, "param": param.replace(name, NAMES[name], 1)}}
