"""The first callable of every request: asks for its key, finds it in the table of routes, and says who answers it.
Made by `middleware.app`; `middleware.mux` asks it what it would let in.
"""

from time import perf_counter

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from middleware.access import Keys
from middleware.answers import Answers
from middleware.endpoints.redirect import without_slash
from middleware.errors import error, method_not_allowed, not_found, unauthorized
from middleware.headers import header
from middleware.load import Load
from middleware.metrics import accounts, http
from middleware.metrics.counts import Counts
from middleware.model import Model
from middleware.proxy import Proxy
from middleware.root_path import without_root
from middleware.route import Route
from middleware.router import Router
from middleware.settings import Settings


class Middleware:
    """Refuses a request, forwards it, or hands it to our own endpoints."""

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
            accounts.turned_away(self._counts, scope, "unauthorized", 401)
            await unauthorized()(inner, receive, self._answers.identified(inner, send))
        elif (preflight := self._answers.preflight(inner)) is not None:
            await preflight(inner, receive, self._answers.identified(inner, send))
        else:
            await self._counted(scope, inner, receive, send, route)

    async def _counted(self, scope: Scope, inner: Scope, receive: Receive, send: Send, route: Route | None) -> None:
        began = perf_counter()
        try:
            if route is None:
                accounts.turned_away(self._counts, scope, "no_such_route", 404)
                await self._unknown(scope, inner["path"])(inner, receive, self._answers.dressed(inner, send))
            elif inner["method"] not in route.methods:
                accounts.turned_away(self._counts, scope, "no_such_method", 405)
                await method_not_allowed(route.methods)(inner, receive, self._answers.dressed(inner, send))
            elif self._tracking and route.tracked:
                with self._load:
                    await self._serve(inner, receive, send, route)
            else:
                await self._serve(inner, receive, send, route)
        finally:
            http.count(self._counts, inner, route.path if route is not None else None, perf_counter() - began)

    def admits(self, scope: Scope) -> Route | None:
        """What would serve it; None if it ends at the door: by its key, its path or its method, or as a preflight."""
        inner = without_root(scope, self._root_path)
        route = self._find(inner["path"])
        known = route is not None and inner["method"] in route.methods
        return route if known and self._keys.allow(inner["method"], inner["path"], route, inner["headers"]) else None

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
