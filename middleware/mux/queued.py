"""A stream whose model has not its turn yet: its head is sent early, and then its place in the queue, as comments.
Made by `middleware.mux.front`; whatever the model's application answers goes on behind them, an error as an event.
"""

import json

from starlette.types import Message, Scope, Send

from middleware.answers import Answers

# A wait that is over sooner leaves the answer as it would have been, status and all.
FIRST_SECONDS = 1.0
AGAIN_SECONDS = 10.0
HEAD = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # a proxy that keeps pieces back would keep the place back
)


class Queued:
    """while not await ticket.settled(queued.seconds): await queued.tell(ticket.place())
    await app(scope, receive, queued.send)
    """

    def __init__(self, answers: Answers, scope: Scope, send: Send) -> None:
        self.has_begun = False
        self._answers = answers
        self._scope = scope
        self._send = send
        self._error: bytearray | None = None  # an answer that is no stream

    @property
    def seconds(self) -> float:
        return AGAIN_SECONDS if self.has_begun else FIRST_SECONDS

    async def tell(self, place: int) -> None:
        if not self.has_begun:
            self.has_begun = True
            start = {"type": "http.response.start", "status": 200, "headers": list(HEAD)}
            await self._answers.begin(self._scope, self._send, start)
        if place:
            await self._body(b": queued, place %d\n\n" % place)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            if message["status"] >= 400 or not kind.startswith(b"text/event-stream"):
                self._error = bytearray()
            return
        if self._error is None:
            await self._send(message)
            return
        self._error += message.get("body", b"")
        if not message.get("more_body", False):
            await self._body(_event(bytes(self._error)), more=False)

    async def _body(self, data: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


def _event(answer: bytes) -> bytes:
    """As vLLM ends a stream that cannot go on; Anthropic's, which name their kind, have an event of their own."""
    try:
        document = json.loads(answer)
    except ValueError:
        document = {"error": {"message": answer.decode("utf-8", "replace")[:500]}}
    data = json.dumps(document, separators=(",", ":")).encode()
    if isinstance(document, dict) and document.get("type") == "error":
        return b"event: error\ndata: %b\n\n" % data
    return b"data: %b\n\ndata: [DONE]\n\n" % data
