"""Puts the middleware together: keys, CORS, the table of routes, the byte path, and Starlette for our own answers.
`middleware.__main__` serves what `create_app` returns.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from middleware.access import Keys
from middleware.answers import Answers
from middleware.context import Context, control_client
from middleware.endpoints.redirect import without_slash
from middleware.engine import Engine
from middleware.errors import error, method_not_allowed, not_found, unauthorized
from middleware.load import Load
from middleware.proxy import Proxy
from middleware.root_path import without_root
from middleware.router import Router
from middleware.routes import Route, routes
from middleware.settings import Settings
from middleware.upstream import Pool
from middleware.watch import Watcher

log = logging.getLogger("middleware")


class Middleware:
    """The first callable of every request: refuses it, forwards it, or hands it to our own endpoints."""

    __slots__ = ("_answers", "_keys", "_load", "_own", "_proxy", "_root_path", "_router", "_tracking")

    def __init__(
        self, settings: Settings, answers: Answers, router: Router, proxy: Proxy, own: ASGIApp, load: Load
    ) -> None:
        self._keys = Keys(settings.api_keys)
        self._root_path = settings.policy.root_path
        self._tracking = settings.policy.load_tracking
        self._answers = answers
        self._router = router
        self._proxy = proxy
        self._own = own
        self._load = load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._own(scope, receive, send)
            return
        # Before the keys are asked: what is guarded is the path that will be served.
        inner = without_root(scope, self._root_path)
        path: str = inner["path"]
        method: str = inner["method"]
        route = self._router.find(path)
        if not self._keys.allow(method, path, route, inner["headers"]):
            await unauthorized()(inner, receive, self._answers.identified(inner, send))
        elif (preflight := self._answers.preflight(inner)) is not None:
            await preflight(inner, receive, self._answers.identified(inner, send))
        elif route is None:
            await self._unknown(scope, path)(inner, receive, self._answers.dressed(inner, send))
        elif method not in route.methods:
            await method_not_allowed(route.methods)(inner, receive, self._answers.dressed(inner, send))
        elif route.ours is not None:
            await self._own(inner, receive, self._answers.dressed(inner, send))
        elif self._tracking and route.tracked:
            with self._load:
                await self._proxy(inner, receive, send, route)
        else:
            await self._proxy(inner, receive, send, route)

    def _unknown(self, scope: Scope, path: str) -> Response:
        """The address in a redirect is the client's, prefix and all."""
        if path != "/" and path.endswith("/") and self._router.find(path.rstrip("/")) is not None:
            return without_slash(scope)
        return not_found()


def create_app(settings: Settings) -> ASGIApp:
    engine = Engine()
    pool = Pool(settings.upstream_host, settings.upstream_port)
    control = control_client(settings)
    load = Load()
    context = Context(settings, engine, control, load)
    answers = Answers(settings.policy)
    watcher = Watcher(engine, control, settings.ready_file)
    table = routes(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(watcher.run())
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            pool.close()
            await control.aclose()

    own = Starlette(
        routes=[_endpoint(route, context) for route in table if route.ours is not None],
        lifespan=lifespan,
        exception_handlers={Exception: _fault},
    )
    proxy = Proxy(engine, pool, answers, table, settings)
    return Middleware(settings, answers, Router(table), proxy, own, load)


def _endpoint(route: Route, context: Context) -> StarletteRoute:
    assert route.ours is not None
    return StarletteRoute(route.path, functools.partial(route.ours, context), methods=list(route.methods))


async def _fault(request: Request, exc: Exception) -> Response:
    """A fault of ours in vLLM's shape; the traceback goes to the log."""
    return error(500, "The middleware failed to answer this request.")
