"""Asks SGLang something on behalf of a request and waits for the whole answer, until the client leaves.
Called by the endpoints whose answers are made here; `middleware.proxy` reads by it what it cannot tell in pieces.
"""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from time import monotonic
from typing import TypeVar

import msgspec
from starlette.responses import Response
from starlette.types import Receive

from middleware.dialect.errors import retold
from middleware.engine import RETRY_SECONDS
from middleware.errors import Refused, error, unavailable
from middleware.fields.told import Told
from middleware.flow import Flow
from middleware.headers import request_head
from middleware.intake import ClientGone
from middleware.metrics.accounts import kind_of, objection
from middleware.upstream import ConnectFailed, Connection, Exchange, NoAnswer, Pool, UpstreamError

T = TypeVar("T")

# Seconds for what no model is asked for. A tokenizer that takes longer hangs, and so would whoever waits for it.
QUICK_SECONDS = 60.0
# SGLang's paths that are asked here: within how many seconds each must begin to answer, and whether its scheduler works
# for it - while it waits for one of those the engine is not idle. Neither is said of any other.
ASKED: dict[str, tuple[float | None, bool]] = {
    "/tokenize": (QUICK_SECONDS, False),
    "/detokenize": (QUICK_SECONDS, False),
    "/v1/classify": (None, True),
    "/v1/embeddings": (None, True),
    "/v1/rerank": (None, True),
    "/v1/score": (None, True),
}

# More than any answer that is honest: a request of BODY_LIMIT bytes, each of its tokens as a row of numbers.
ANSWER_LIMIT = 1024 * 1024 * 1024
# What is larger is put together in a thread: `join` lets go of the interpreter from here on, and others go on.
JOINED_HERE = 1024 * 1024


class Calls:
    """calls = Calls(pool, flow)
    status, content = await calls.ask("POST", "/tokenize", body)
    answer = await calls.value("/tokenize", {"prompt": "a"}, Tokens)     # or Refused
    """

    __slots__ = ("_flow", "_pool")

    def __init__(self, pool: Pool, flow: Flow | None = None) -> None:
        self._pool = pool
        self._flow = flow or Flow()

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The status and the body of the answer; a failure to get one is Refused."""
        try:
            return await self.fetch(method, path, body)
        except UpstreamError as failure:
            raise Refused(failed(failure), kind_of(failure)) from failure

    async def fetch(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """The same, for who answers nobody: a failure is UpstreamError."""
        exchange = Exchange(self._pool)
        headers = [(b"content-type", b"application/json")] if body else []
        head = request_head(method, path.encode(), self._pool.authority, headers, length=len(body))
        within, work = ASKED.get(path, (None, False))
        works = False
        try:
            await exchange.open(head, body)
            works = work
            self._flow.begin(works)
            answer = await exchange.answer(within=within)
            content = await whole(answer, ANSWER_LIMIT)
            if works and answer.status < 400:
                self._flow.last = monotonic()
            return answer.status, content
        finally:
            self._flow.end(works)
            exchange.close()

    async def value(self, path: str, body: object, kind: type[T]) -> T:
        """The answer to a POST, decoded as what it must be."""
        status, content = await self.ask("POST", path, msgspec.json.encode(body))
        return self.read(status, content, kind)

    @staticmethod
    def read(status: int, content: bytes, kind: type[T]) -> T:
        """An answer that is there, or Refused."""
        if status != HTTPStatus.OK:
            raise refused(status, content)
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
            raise Refused(error(502, "The engine's answer cannot be read.")) from failure


async def whole(answer: Connection, limit: int) -> bytes:
    """All of its body. A larger error is told without its words, and any other answer is Refused."""
    pieces: list[bytes] = []
    size = 0
    while piece := await answer.read():
        size += len(piece)
        if size > limit:
            if answer.status >= 400:
                return b""
            raise Refused(error(502, "The engine's answer is too large."))
        pieces.append(piece)
        if answer.complete:
            break
    return await asyncio.to_thread(b"".join, pieces) if size > JOINED_HERE else b"".join(pieces)


def failed(failure: UpstreamError) -> Response:
    if isinstance(failure, ConnectFailed):
        return unavailable("The engine cannot be reached. Please retry.", RETRY_SECONDS)
    if isinstance(failure, NoAnswer):
        return error(504, f"The engine gave no answer: {failure}. Please retry.")
    return error(502, "The engine failed before it answered. Please retry.")


async def while_connected(receive: Receive, work: Awaitable[T]) -> T:
    """The result of the work, which is cancelled when the client leaves: then it is ClientGone."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_leaves(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def refused(status: int, content: bytes, told: Told | None = None) -> Refused:
    """SGLang's refusal in vLLM's words."""
    if not 400 <= status < 600:
        return Refused(error(502, f"The engine answered {status}."))
    status, body = retold(status, content, told or Told())
    return Refused(Response(body, status, media_type="application/json"), objection(status, content))
