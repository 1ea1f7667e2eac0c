"""Puts the middleware together: keys, CORS, the table of routes, the byte path, and Starlette for our own answers.
`middleware.__main__` serves what `create_app` returns.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from middleware.again import Repeated
from middleware.answers import Answers
from middleware.calls import Calls
from middleware.context import Context, control_client
from middleware.control import Control
from middleware.device_memory import DeviceMemory
from middleware.dialect.ids import assigned
from middleware.engine import Engine
from middleware.errors import Refused, error
from middleware.errors_log import PROBES, ErrorsLog
from middleware.fields.bound import Server, bind
from middleware.flow import Flow
from middleware.front import Middleware
from middleware.intake import ClientGone
from middleware.load import Load
from middleware.masking import Mask
from middleware.metrics import accounts, http
from middleware.metrics.served import Metrics
from middleware.model import Model
from middleware.page import app as page
from middleware.page.one import One
from middleware.preparation.prepare import Preparation
from middleware.preparation.prompts import Prompts
from middleware.proxy import Proxy
from middleware.recent import Recent
from middleware.route import Route
from middleware.router import Router
from middleware.routes import routes
from middleware.saver import Saver
from middleware.settings import Settings
from middleware.sleeping import Sleeping
from middleware.stall import Stall
from middleware.upstream import Pool
from middleware.watch import Watcher
from middleware.weights.pause import Pause
from middleware.weights.update import Updates
from middleware.weights.weights import Weights

log = logging.getLogger("middleware")


@dataclass(frozen=True, slots=True)
class Built:
    """One model's application, its first callable without what may be around it, what it works with, and what runs
    beside it."""

    app: ASGIApp
    front: Middleware
    context: Context
    lifespan: Callable[[], AbstractAsyncContextManager[None]]
    pool: Pool


def create_app(settings: Settings) -> ASGIApp:
    return build(settings).app


def build(settings: Settings, memory: DeviceMemory | None = None) -> Built:
    """`memory`: of the devices that it runs on, where those are not all that there are."""
    engine = Engine()
    pool = Pool(settings.upstream_host, settings.upstream_port)
    pool.within = settings.upstream_seconds or None
    control = control_client(settings)
    load = Load()
    model = Model(settings)
    answers = Answers(settings.policy)
    flow = Flow()
    calls = Calls(pool, flow)
    prompts = Prompts(settings.policy, model, calls)
    tell = partial(calls.fetch, "GET", "/metrics")
    metrics = Metrics(engine, model, settings.policy, flow, tell)
    metrics.counts.recent = Recent(Mask(settings.api_keys))

    async def warm() -> None:
        proxy.learn(model.vocabulary)
        await prompts.warm()
        await metrics.begin()

    pause = Pause(engine, calls, flow, settings.paused_file)
    updates = Updates(pause, model, control)
    weights = Weights(pause, updates)
    policy, saver = settings.policy, Saver(calls, memory or DeviceMemory())
    sleeping = Sleeping(
        engine, weights, model, saver, settings.asleep_file, enabled=policy.sleep_mode, backup=policy.weights_backup
    )
    watcher = Watcher(
        engine,
        calls,
        settings.ready_file,
        model,
        warm,
        settings.engine_log,
        # SGLang's /ready says 503 of more than a pause.
        pause if policy.rl or policy.dev_mode or policy.sleep_mode else None,
        updates.restore,
        sleeping.found,
    )
    stall = Stall(engine, flow, tell, settings.policy, settings.ready_file, settings.stalled_file)
    server = Server(model)
    table = tuple(_bound(route, server) for route in routes(settings))

    async def again(scope: Scope, receive: Receive, send: Send) -> None:
        await front.again(scope, receive, send)

    paths = {route.path: route.methods for route in table}
    context = Context(
        settings,
        engine,
        control,
        load,
        model,
        calls,
        again,
        metrics,
        paths,
        weights,
        sleeping,
        prompts.render,
        lambda: prompts.traits,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette | None = None) -> AsyncIterator[None]:
        watching = [asyncio.create_task(watcher.run()), asyncio.create_task(stall.run())]
        if settings.control_socket is not None:
            watching.append(asyncio.create_task(Control(context).serve(settings.control_socket)))
        if settings.page_port:
            one = One(context)
            watching += [asyncio.create_task(page.serve(settings.page_port, settings, one))]
            watching += [asyncio.create_task(one.watch())]
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
        accounts.fault(metrics.counts, request.scope)
        log.error("%s: %s %s: the traceback follows", assigned(request.scope), request.method, request.scope["path"])
        return error(500, "The middleware failed to answer this request.")

    own = Starlette(
        routes=[_endpoint(route, context) for route in table if route.ours is not None],
        lifespan=lifespan,
        exception_handlers={Exception: fault},
    )
    proxy = Proxy(engine, pool, answers, table, settings, metrics, model, Preparation(prompts))
    front = Middleware(settings, answers, Router(table), proxy, own, load, model, metrics.counts)
    errors_log = settings.policy.errors_log
    app = ErrorsLog(front, errors_log, settings.api_keys) if errors_log else front
    return Built(app, front, context, lifespan, pool)


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
        accounts.refused(context.metrics.counts, request.scope, refused)
        return refused.response

    return StarletteRoute(route.path, answered, methods=list(route.methods))
