"""Puts the middleware together: keys, the table of routes, the byte path, and Starlette for what we answer ourselves.
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
from middleware.context import Context, control_client
from middleware.endpoints.redirect import without_slash
from middleware.engine import Engine
from middleware.errors import error, method_not_allowed, not_found, unauthorized
from middleware.proxy import Proxy
from middleware.router import Router
from middleware.routes import Route, routes
from middleware.settings import Settings
from middleware.upstream import Pool
from middleware.watch import Watcher

log = logging.getLogger("middleware")


class Middleware:
    """The first callable of every request: refuses it, forwards it, or hands it to our own endpoints."""

    __slots__ = ("_keys", "_own", "_proxy", "_router")

    def __init__(self, keys: Keys, router: Router, proxy: Proxy, own: ASGIApp) -> None:
        self._keys = keys
        self._router = router
        self._proxy = proxy
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._own(scope, receive, send)
            return
        path: str = scope["path"]
        method: str = scope["method"]
        route = self._router.find(path)
        if not self._keys.allow(method, path, route, scope["headers"]):
            await unauthorized()(scope, receive, send)
        elif route is None:
            await self._unknown(scope)(scope, receive, send)
        elif method not in route.methods:
            await method_not_allowed(route.methods)(scope, receive, send)
        elif route.ours is not None:
            await self._own(scope, receive, send)
        else:
            await self._proxy(scope, receive, send, route)

    def _unknown(self, scope: Scope) -> Response:
        path: str = scope["path"]
        if path != "/" and path.endswith("/") and self._router.find(path.rstrip("/")) is not None:
            return without_slash(scope)
        return not_found()


def create_app(settings: Settings) -> ASGIApp:
    engine = Engine()
    pool = Pool(settings.upstream_host, settings.upstream_port)
    control = control_client(settings)
    context = Context(settings, engine, control)
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
    proxy = Proxy(engine, pool, table, settings.strip_params)
    return Middleware(Keys(settings.api_keys), Router(table), proxy, own)


def _endpoint(route: Route, context: Context) -> StarletteRoute:
    assert route.ours is not None
    return StarletteRoute(route.path, functools.partial(route.ours, context), methods=list(route.methods))


async def _fault(request: Request, exc: Exception) -> Response:
    """A fault of ours in vLLM's shape; the traceback goes to the log."""
    return error(500, "The middleware failed to answer this request.")
