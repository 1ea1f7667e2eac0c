"""The byte path: a client's request goes to SGLang and SGLang's answer comes back, both as they arrive.
A plain ASGI callable without objects of Starlette's; `middleware.front` calls it for every route that is forwarded.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from time import monotonic, perf_counter

from starlette.types import Receive, Scope, Send

from middleware.answers import Answers
from middleware.calls import failed, while_connected, whole
from middleware.client import Client
from middleware.dialect.ids import assigned, identify, renew
from middleware.dialect.reply import Whole, reply
from middleware.dialect.room import fitted
from middleware.dialect.voice import voice
from middleware.engine import NOT_READY, RETRY_SECONDS, Engine
from middleware.errors import Refused, error, unavailable
from middleware.fields.draft import Draft
from middleware.fields.edit import Editor
from middleware.fields.told import Told
from middleware.flow import Flow
from middleware.headers import header, rank, request_head, response_headers, whole_headers
from middleware.intake import BODY_LIMIT, ClientGone, announced, attend, first_piece, whole_body
from middleware.masking import Mask
from middleware.metrics import accounts
from middleware.metrics.served import Metrics
from middleware.model import Model
from middleware.relay import Edits, ended_by, relay
from middleware.repair.guards import require_json
from middleware.route import Route
from middleware.settings import Settings
from middleware.target import Target
from middleware.tasks import Task
from middleware.upstream import Aborted, ConnectFailed, Connection, Exchange, Pool, UpstreamError

log = logging.getLogger("middleware.proxy")

# What must be awaited of a request that is decided, before it is sent, or None; it may change the draft, or refuse.
Preparation = Callable[[Draft], Awaitable[None] | None]


class Proxy:
    __slots__ = (
        "_answers",
        "_editors",
        "_engine",
        "_limit",
        "_metrics",
        "_model",
        "_pool",
        "_prepare",
        "_target",
        "_voice",
    )

    def __init__(
        self,
        engine: Engine,
        pool: Pool,
        answers: Answers,
        routes: Iterable[Route],
        settings: Settings,
        metrics: Metrics,
        model: Model,
        prepare: Preparation | None = None,
    ) -> None:
        self._engine = engine
        self._pool = pool
        self._answers = answers
        self._limit = settings.policy.max_request_body_bytes
        self._prepare = prepare
        self._metrics = metrics
        self._model = model
        self._target = Target(Mask(settings.api_keys))
        self._voice = voice(settings.policy, settings.served_model_names)
        self._editors = {
            route.path: Editor(route.body, settings.strip_params, settings.policy)
            for route in routes
            if route.body is not None
        }

    def learn(self, vocabulary: int) -> None:
        """Each time the engine becomes ready: what the command line could not know, the model's files say."""
        for editor in self._editors.values():
            editor.policy = replace(editor.policy, vocab_size=vocabulary or None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send, route: Route) -> None:
        counts = self._metrics.counts
        # What needs no scheduler says nothing of whether one is stuck.
        flow = self._metrics.flow if route.tracked else Flow()
        refusal = self._engine.refusal()
        if refusal is not None:
            accounts.turned_away(counts, scope, NOT_READY, 503)
            await refusal(scope, receive, self._answers.dressed(scope, send))
            return
        exchange = Exchange(self._pool)
        attendant: asyncio.Task[Refused | None] | None = None
        client = Client.of(scope)
        begun = False
        sent = 0
        told: Told | None = None

        async def begin(status: int, headers: list[tuple[bytes, bytes]]) -> None:
            nonlocal begun
            begun = True
            start = {"type": "http.response.start", "status": status, "headers": headers}
            await self._answers.begin(scope, send, start)

        try:
            more, draft = await self._open(exchange, scope, receive, route, here=client is not None and client.sent_all)
            told = draft.told if draft is not None else Told(route.answer)
            if not more:  # A slow upload is no work of the engine's.
                sent = flow.begin(told.choices, told)
            if client is not None and not more:
                client.when_gone(exchange.abort)
            else:
                attendant = asyncio.create_task(attend(receive, exchange, more=more))
            answer = await exchange.answer(within=route.within or self._pool.within)
            if not sent:
                sent = flow.begin(told.choices, told)
            editing = self._reply(answer, scope, told)
            if isinstance(editing, Whole):
                body = await whole(answer, editing.limit)
                if draft is not None and editing.status == 400 and fitted(draft, body):
                    exchange.close()
                    renew(draft.told)
                    answer = await self._send_again(exchange, scope, route, draft)
                    editing = self._reply(answer, scope, told)
                    body = await whole(answer, editing.limit) if isinstance(editing, Whole) else b""
            if isinstance(editing, Whole):
                there = perf_counter()
                if answer.status < 400:
                    flow.last = monotonic()
                status, body = editing.retold(body)
                with client.in_one_write() if client is not None else nullcontext():
                    await begin(status, whole_headers(status, answer.headers, len(body)))
                    await send({"type": "http.response.body", "body": body})
                counts.overhead.observe(perf_counter() - there, "after")
                if answer.status >= 400:
                    accounts.objected(counts, scope, answer.status, body)
                else:
                    accounts.answered(counts, scope, told, self._model.context_length)
            else:
                await begin(answer.status, response_headers(answer.status, answer.headers))
                if await relay(answer, send, editing, client, flow, assigned(scope)):
                    accounts.failed(counts, scope, accounts.CUT_SHORT)
                    if route.task is Task.GENERATE:
                        accounts.unanswered(counts, told)
                elif answer.complete or told.ends:  # Who leaves behind the last token has had it all.
                    accounts.answered(counts, scope, told, self._model.context_length)
        except Refused as refused:
            accounts.refused(counts, scope, refused)
            await refused.response(scope, receive, self._answers.dressed(scope, send))
        except ClientGone:
            pass
        except Aborted:
            late = attendant.result() if attendant is not None and attendant.done() else None
            if late is not None and not begun:
                await late.response(scope, receive, self._answers.dressed(scope, send))
        except UpstreamError as failure:
            # A failure in the middle of an answer never gets here: `relay` has said what there was to say.
            log.warning("%s: %s %s: %s", assigned(scope), scope["method"], route.path, failure)
            accounts.failed(counts, scope, accounts.kind_of(failure))
            if not isinstance(failure, ConnectFailed) and route.task is Task.GENERATE:
                accounts.unanswered(counts, told or Told())
            await failed(failure)(scope, receive, self._answers.dressed(scope, send))
        except Exception:
            # A fault of ours. Once an answer has begun there is nothing to add: uvicorn closes the connection.
            log.exception("%s: %s %s", assigned(scope), scope["method"], route.path)
            accounts.fault(counts, scope)
            if not begun:
                fault = error(500, "The middleware failed to forward this request.")
                await fault(scope, receive, self._answers.dressed(scope, send))
        except asyncio.CancelledError as order:
            # uvicorn cancels what outlives its grace; an answer that has begun was ended by `relay`.
            if not begun:
                await unavailable(ended_by(order), RETRY_SECONDS)(scope, receive, self._answers.dressed(scope, send))
        finally:
            flow.end(sent, told)
            if attendant is not None:
                attendant.cancel()
            elif client is not None:
                client.when_gone(None)
            exchange.close()

    def _reply(self, answer: Connection, scope: Scope, told: Told) -> Whole | Edits | None:
        if scope["method"] == "HEAD":
            return None
        return reply(answer.status, answer.headers, told, self._voice)

    async def _open(
        self, exchange: Exchange, scope: Scope, receive: Receive, route: Route, *, here: bool
    ) -> tuple[bool, Draft | None]:
        """Sends the request, or as much of it as there is; whether more is to come, and what is known of it."""
        headers = scope["headers"]
        editor = self._editors.get(route.path)
        draft: Draft | None = None
        more = False
        length: int | None
        if editor is not None:
            require_json(headers)
            body = await whole_body(receive, headers, self._limit or BODY_LIMIT, here=here)
            here_at = perf_counter()
            draft = editor.open(body, prepared=self._prepare is not None)
            accounts.settle_length(draft)
            identify(draft.told, headers, assigned(scope), self._target.mask.finds)
            if self._prepare is not None and (work := self._prepare(draft)) is not None:
                await while_connected(receive, work)
            body = editor.close(draft, rank(headers))
            length = len(body)
        elif self._limit and announced(headers, self._limit) is None:
            # Its size is known only when it is here.
            body = await whole_body(receive, headers, self._limit)
            length = len(body) if body else None
        else:
            body, more = await first_piece(receive, here=here)
            declared = header(headers, b"content-length")
            length = int(declared) if declared is not None else None
            if length is None and body and not more:
                length = len(body)
        chunked = more and length is None
        told = draft.told if draft is not None else None
        head = self._head(scope, route, told, length=length, chunked=chunked)
        await exchange.open(head, body, head_only=scope["method"] == "HEAD", whole=not more, chunked=chunked)
        if draft is not None and editor is not None:
            counts = self._metrics.counts
            counts.overhead.observe(perf_counter() - here_at, "before")
            for rule in draft.rules:
                counts.rewritten.inc(rule, editor.table)
        return more, draft

    async def _send_again(self, exchange: Exchange, scope: Scope, route: Route, draft: Draft) -> Connection:
        body = Editor.close(draft)
        await exchange.open(self._head(scope, route, draft.told, length=len(body)), body)
        return await exchange.answer()

    def _head(
        self, scope: Scope, route: Route, told: Told | None, *, length: int | None, chunked: bool = False
    ) -> bytes:
        target = self._target.of(scope, route, told)
        authority = self._pool.authority
        return request_head(scope["method"], target, authority, scope["headers"], length=length, chunked=chunked)
