"""What every answer's head carries besides the answer: who may read it in a browser (CORS), and the request's id.
Used by `middleware.front` and `middleware.proxy`; after the head it is out of the way, so a chunk costs nothing.
"""

import uuid

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from middleware.headers import header
from middleware.policy import Policy

REQUEST_ID = b"x-request-id"
VARY = (b"vary", b"Origin")
# Where a scope has the head of its answer, for what counts them.
ANSWER = "vllm-to-sglang.answer"


class Answers:
    """vLLM's order: the id is on everything, CORS on everything but a 401."""

    __slots__ = ("_cors", "_ids")

    def __init__(self, policy: Policy) -> None:
        # Only asked, never called: vLLM's own middleware, so that a browser sees no difference.
        self._cors = CORSMiddleware(
            _nothing,
            allow_origins=policy.allowed_origins,
            allow_methods=policy.allowed_methods,
            allow_headers=policy.allowed_headers,
            allow_credentials=policy.allow_credentials,
        )
        self._ids = policy.request_id_headers

    def preflight(self, scope: Scope) -> Response | None:
        """The answer to a browser that asks whether it may send a request; None to anything else."""
        if scope["method"] != "OPTIONS":
            return None
        headers = Headers(scope=scope)
        if "origin" not in headers or "access-control-request-method" not in headers:
            return None
        return self._cors.preflight_response(request_headers=headers)

    async def begin(self, scope: Scope, send: Send, start: Message) -> None:
        """Sends the head of an answer."""
        scope[ANSWER] = start
        if self._ids:
            send = self.identified(scope, send)
        if header(scope["headers"], b"origin") is None and header(headers := start["headers"], b"vary") is None:
            # As Starlette's middleware does, which is slower about it: most clients are no browsers.
            headers.append(VARY)
            await send(start)
            return
        await self._cors.send(start, send=send, request_headers=Headers(scope=scope))

    def dressed(self, scope: Scope, send: Send) -> Send:
        """For answers of ours: `send` with all of it."""

        async def with_all(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self.begin(scope, send, message)
            else:
                await send(message)

        return with_all

    def identified(self, scope: Scope, send: Send) -> Send:
        """`send` with the request's id alone: the client's own, or a new one."""
        if not self._ids:
            return send

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = header(scope["headers"], REQUEST_ID)
                request_id = uuid.uuid4().hex.encode() if given is None else given
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID, request_id)]
            await send(message)

        return with_id


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The application that the CORS middleware would wrap."""
