"""Puts the middleware together: keys, CORS, the table of routes, the byte path, and Starlette for our own answers.
`middleware.__main__` serves what `create_app` returns.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from time import perf_counter

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from middleware.access import Keys
from middleware.again import Repeated
from middleware.answers import Answers
from middleware.calls import Calls
from middleware.context import Context, control_client
from middleware.endpoints.redirect import without_slash
from middleware.engine import Engine
from middleware.errors import Refused, error, method_not_allowed, not_found, unauthorized
from middleware.fields.bound import Server, bind
from middleware.flow import Flow
from middleware.headers import header
from middleware.intake import ClientGone
from middleware.load import Load
from middleware.metrics import accounts, http
from middleware.metrics.counts import Counts
from middleware.metrics.served import Metrics
from middleware.model import Model
from middleware.preparation.prepare import Preparation
from middleware.preparation.prompts import Prompts
from middleware.proxy import Proxy
from middleware.root_path import without_root
from middleware.router import Router
from middleware.routes import Route, routes
from middleware.settings import Settings
from middleware.stall import Stall, scraping
from middleware.upstream import Pool
from middleware.watch import Watcher

log = logging.getLogger("middleware")

# Asked several times a second: what they say is no request refused.
PROBES = frozenset({"/health", "/ping", "/ready"})


class Middleware:
    """The first callable of every request: refuses it, forwards it, or hands it to our own endpoints."""

    __slots__ = (
        "_answers",
        "_counts",
        "_keys",
        "_load",
        "_model",
        "_own",
        "_proxy",
        "_root_path",
        "_router",
        "_tracking",
    )

    def __init__(
        self,
        settings: Settings,
        answers: Answers,
        router: Router,
        proxy: Proxy,
        own: ASGIApp,
        load: Load,
        model: Model,
        counts: Counts,
    ) -> None:
        self._keys = Keys(settings.api_keys)
        self._root_path = settings.policy.root_path
        self._tracking = settings.policy.load_tracking
        self._answers = answers
        self._router = router
        self._proxy = proxy
        self._own = own
        self._load = load
        self._model = model
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._own(scope, receive, send)
            return
        # Before the keys are asked: what is guarded is the path that will be served.
        inner = without_root(scope, self._root_path)
        path: str = inner["path"]
        method: str = inner["method"]
        route = self._find(path)
        if not self._keys.allow(method, path, route, inner["headers"]):
            self._counts.refused.inc("unauthorized", "401")
            await unauthorized()(inner, receive, self._answers.identified(inner, send))
        elif (preflight := self._answers.preflight(inner)) is not None:
            await preflight(inner, receive, self._answers.identified(inner, send))
        else:
            await self._counted(scope, inner, receive, send, route)

    async def _counted(self, scope: Scope, inner: Scope, receive: Receive, send: Send, route: Route | None) -> None:
        began = perf_counter()
        try:
            if route is None:
                self._counts.refused.inc("no_such_route", "404")
                await self._unknown(scope, inner["path"])(inner, receive, self._answers.dressed(inner, send))
            elif inner["method"] not in route.methods:
                self._counts.refused.inc("no_such_method", "405")
                await method_not_allowed(route.methods)(inner, receive, self._answers.dressed(inner, send))
            elif self._tracking and route.tracked:
                with self._load:
                    await self._serve(inner, receive, send, route)
            else:
                await self._serve(inner, receive, send, route)
        finally:
            http.count(self._counts, inner, route.path if route is not None else None, perf_counter() - began)

    async def again(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request that an endpoint of ours makes of another: neither keys nor load are asked a second time."""
        route = self._find(scope["path"])
        if route is None:
            await not_found()(scope, receive, send)
        else:
            await self._serve(scope, receive, send, route)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, route: Route) -> None:
        with self._model.adapters.serving():
            if route.ours is not None:
                await self._own(scope, receive, self._answers.dressed(scope, send))
            else:
                await self._proxy(scope, receive, send, route)

    def _find(self, path: str) -> Route | None:
        """What is for another kind of model does not exist, as in vLLM; a chat would end an embedding engine."""
        route = self._router.find(path)
        return route if route is not None and self._model.serves(route.task) else None

    def _unknown(self, scope: Scope, path: str) -> Response:
        """The address in a redirect is the client's, prefix and all."""
        if path != "/" and path.endswith("/") and self._find(path.rstrip("/")) is not None:
            return without_slash(scope)
        if (header(scope["headers"], b"upgrade") or b"").lower() == b"websocket":
            return error(501, f"WebSockets are not served, and {path} is none.")
        return not_found()


def create_app(settings: Settings) -> ASGIApp:
    engine = Engine()
    pool = Pool(settings.upstream_host, settings.upstream_port)
    control = control_client(settings)
    load = Load()
    model = Model(settings)
    answers = Answers(settings.policy)
    flow = Flow()
    calls = Calls(pool, flow)
    prompts = Prompts(settings.policy, model, calls)
    metrics = Metrics(engine, model, settings.policy, flow, lambda: calls.fetch("GET", "/metrics"))

    async def warm() -> None:
        await prompts.warm()
        await metrics.begin()

    watcher = Watcher(engine, calls, settings.ready_file, model, warm, settings.engine_log)
    stall = Stall(engine, flow, scraping(calls), settings.policy, settings.ready_file, settings.stalled_file)
    server = Server(model)
    table = tuple(_bound(route, server) for route in routes(settings))

    async def again(scope: Scope, receive: Receive, send: Send) -> None:
        await front.again(scope, receive, send)

    paths = {route.path: route.methods for route in table}
    context = Context(
        settings, engine, control, load, model, calls, again, metrics, paths, prompts.render, lambda: prompts.traits
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watching = [asyncio.create_task(watcher.run()), asyncio.create_task(stall.run())]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            metrics.stop()
            pool.close()
            await control.aclose()

    async def fault(request: Request, exc: Exception) -> Response:
        """Of ours, in vLLM's shape; the traceback goes to the log."""
        metrics.counts.faults.inc()
        return error(500, "The middleware failed to answer this request.")

    own = Starlette(
        routes=[_endpoint(route, context) for route in table if route.ours is not None],
        lifespan=lifespan,
        exception_handlers={Exception: fault},
    )
    proxy = Proxy(engine, pool, answers, table, settings, metrics, model, Preparation(prompts))
    front = Middleware(settings, answers, Router(table), proxy, own, load, model, metrics.counts)
    return front


def _bound(route: Route, server: Server) -> Route:
    return route if route.body is None else replace(route, body=bind(route.body, server))


def _endpoint(route: Route, context: Context) -> StarletteRoute:
    ours = route.ours
    assert ours is not None

    async def answered(request: Request) -> Response:
        try:
            response = await ours(context, request)
            if response.status_code < 400 or route.path in PROBES or isinstance(response, Repeated):
                return response
            refused = Refused(response)
        except Refused as no:
            refused = no
        except ClientGone:
            return Response(status_code=http.CLIENT_GONE)  # For the log alone: nobody is there to read it.
        accounts.refused(context.metrics.counts, refused)
        return refused.response

    return StarletteRoute(route.path, answered, methods=list(route.methods))
