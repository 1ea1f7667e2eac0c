"""The first callable of every request where there are several models: whose it is, its turn, its own application.
Made by `middleware.mux.app`. The queue is the switcher's; a stream that waits there is told its place.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from middleware.access import ANY_METHOD
from middleware.again import replay
from middleware.anthropic import answer as anthropic
from middleware.calls import while_connected
from middleware.client import Client
from middleware.engine import RETRY_SECONDS
from middleware.errors import Refused, error, unauthorized, unavailable
from middleware.headers import header
from middleware.intake import ClientGone, whole_body
from middleware.metrics import accounts
from middleware.mux import naming, own, questions
from middleware.mux.house import House
from middleware.mux.members import Served
from middleware.mux.naming import Asked
from middleware.mux.queued import Queued
from middleware.mux.stored import Stored
from middleware.mux.whose import Whose
from middleware.relay import ended_by
from middleware.repair.guards import too_large
from middleware.root_path import without_root
from middleware.route import Access, Route
from switcher.exceptions import Unavailable
from switcher.tickets import Lease, Ticket

log = logging.getLogger("middleware.mux")

MESSAGES = "/v1/messages"
ANTHROPIC = (MESSAGES, f"{MESSAGES}/count_tokens")
# Whose answers may begin before it is known what they are.
STREAMS = frozenset(
    {
        "/v1/chat/completions",
        "/v1/chat/completions/tokens",
        "/v1/completions",
        MESSAGES,
        "/v1/responses",
        "/generate",
    }
)
# The switcher's to do, in its own order.
SLEEP = frozenset({"/sleep", "/wake_up", "/release_kv_cache_memory"})
UPSTREAM = Route("/upstream/{path:path}", (), Access.KEY)
NOT_TURNED = "model_not_available"


class Front:
    def __init__(self, house: House) -> None:
        self._house = house
        self._own = own.Table(house)
        self._stored = Stored(house.switcher)
        self._whose = Whose(house, self._stored)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner = without_root(scope, self._house.settings.policy.root_path)
        try:
            await self._route(inner, receive, send)
        except Refused as refused:
            if inner["path"].endswith(ANTHROPIC):
                refused = anthropic.refused(refused)
            await refused.response(inner, receive, self._house.answers.dressed(inner, send))
        except ClientGone:
            pass

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        house, path, method = self._house, scope["path"], scope["method"]
        preflight = house.answers.preflight(scope)
        if preflight is not None:
            await preflight(scope, receive, house.answers.identified(scope, send))
            return
        ours = self._own.find(path)
        if ours is not None and method in ours.methods:
            if not house.keys.allow(method, path, ours, scope["headers"]):
                await unauthorized()(scope, receive, house.answers.identified(scope, send))
                return
            response = await self._own.answer(ours, scope, receive)
            await response(scope, receive, house.answers.dressed(scope, send))
            return
        name: str | None = None
        if path.startswith(naming.UPSTREAM):
            if not house.keys.allow(ANY_METHOD, path, UPSTREAM, scope["headers"]):
                await unauthorized()(scope, receive, house.answers.identified(scope, send))
                return
            name, path = house.naming.of_path(path)
            scope = {**scope, "path": path, "raw_path": quote(path).encode()}
        # What nobody would let in is told so by the first, before a body is read or a model woken.
        first = house.of(name) if name else self._whose.first()
        everybody = (first,) if name else tuple(house.served.values())
        is_servers = path in own.OF_NO_MODEL and first.built is not None
        if is_servers or not any(one.admits(scope) for one in everybody):
            await first.app(scope, receive, send)
            return
        await self._serve(name, scope, receive, send)

    async def _serve(self, name: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        client = Client.of(scope)
        headers = scope["headers"]
        body: bytes | None = None
        asked = Asked(name or naming.in_query(scope))
        if header(headers, b"content-length") not in (None, b"0") or header(headers, b"transfer-encoding") is not None:
            limit = max(one.body_limit for one in self._house.served.values())
            body = await whole_body(receive, headers, limit, here=client is not None and client.sent_all)
            told = await naming.in_body(scope, body)
            asked = replace(told, name=asked.name or told.name)
        served = self._whose.of(asked.name, scope)
        if body is not None and len(body) > served.body_limit:
            raise too_large(served.body_limit)
        admitted = served.admits(scope)
        asks = admitted and questions.asks(served, scope)
        answer = questions.answer(self._house, served, scope["path"]) if asks else None
        if answer is not None:
            await answer(scope, receive, self._house.answers.dressed(scope, send))
            return
        if asks or not admitted:
            await served.app(scope, receive if body is None else replay(body, receive), send)
            return
        self._stored.check(served, scope, asked)
        if served.built is not None and scope["path"] in SLEEP:
            raise Refused(error(409, _ORDERS.format(name=served.name)))
        queued = Queued(self._house.answers, scope, send) if asked.streams and scope["path"] in STREAMS else None
        try:
            lease, waited = await self._turn(served, receive, queued)
        except Unavailable as no:
            await self._say(served, no, scope, receive, send, queued)
            return
        with lease:
            served = self._house.of(lease.name)
            # Who watches for the client to leave takes what there is of a request, were it only that it has no body.
            again = receive if body is None and not waited else replay(body or b"", receive)
            if queued is not None and queued.has_begun:
                # Its connection is past the point where the byte path could take it over.
                await self._run(served, {**scope, "extensions": {}}, again, queued.send)
            else:
                await self._run(served, scope, again, send)

    async def _turn(self, served: Served, receive: Receive, queued: Queued | None) -> tuple[Lease, bool]:
        """And whether it was waited for. ClientGone if it leaves meanwhile: nobody else is disturbed."""
        ticket: Ticket = self._house.switcher.ticket(served.name)
        try:
            if not ticket.place():
                return await ticket.granted(), False
            if queued is not None:
                while not await while_connected(receive, ticket.settled(queued.seconds)):
                    await queued.tell(ticket.place())
                return await ticket.granted(), True
            return await while_connected(receive, ticket.granted()), True
        except asyncio.CancelledError as order:
            raise Unavailable(503, _heeded(order), RETRY_SECONDS) from order
        finally:
            ticket.leave()

    async def _run(self, served: Served, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            with served.running:
                await served.app(scope, receive, noted)
        except asyncio.CancelledError as order:
            if begun:
                raise
            await self._refuse(unavailable(_heeded(order), RETRY_SECONDS), scope, receive, send)

    async def _say(
        self, served: Served, no: Unavailable, scope: Scope, receive: Receive, send: Send, queued: Queued | None
    ) -> None:
        if served.built is not None:
            accounts.turned_away(served.built.context.metrics.counts, scope, NOT_TURNED, no.status)
        headers: Mapping[str, str] = {} if no.retry_after is None else {"retry-after": str(no.retry_after)}
        send = queued.send if queued is not None and queued.has_begun else send
        await self._refuse(error(no.status, no.sentence, headers=headers), scope, receive, send)

    async def _refuse(self, response: Response, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in ANTHROPIC:
            response = anthropic.refused(Refused(response)).response
        await response(scope, receive, self._house.answers.dressed(scope, send))


def _heeded(order: asyncio.CancelledError) -> str:
    """What is said to the client: by the driver who ended its request, or by us, at the end of all."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    return ended_by(order)


_ORDERS = (
    "Of several models each sleeps when others need its place: POST /models/{name}/sleep or /wake does it by hand."
)
