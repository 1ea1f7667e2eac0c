"""The page's own application, on its own port: four files, two streams of events, and the orders.
Made by `serve`, which `middleware.app` and `middleware.mux.app` run beside the API.
"""

import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from middleware.beside import serve_beside
from middleware.engine import RETRY_SECONDS
from middleware.errors import error, unavailable
from middleware.listen import CannotListen, bound
from middleware.masking import Mask
from middleware.page.events import event, events
from middleware.page.guard import Guard
from middleware.page.source import Source
from middleware.page.tail import Tail
from middleware.settings import Settings
from switcher.exceptions import Unavailable

log = logging.getLogger("middleware.page")

STATIC = Path(__file__).parent / "static"
FILES = {"": "page.html", "page.js": "page.js", "page.css": "page.css", "icon.svg": "icon.svg"}
MOST_STREAMS = 24  # tabs that were forgotten
SILENT_LOOKS = 20  # of a log, and the reader is told that we are here


async def serve(port: int, settings: Settings, source: Source) -> None:
    """Until it is cancelled. Requests are served without it."""
    try:
        sock = bound(port)
    except CannotListen as failure:
        log.warning("there is no page: %s", failure)
        return
    log.info("the page is on http://127.0.0.1:%d/shim/", port)
    await serve_beside(sock, create_page(source, Mask(settings.api_keys)))


def create_page(source: Source, mask: Mask) -> ASGIApp:
    page = Page(source, mask)
    routes = [
        Route("/", _to_the_page),
        *(Route(f"/shim/{path}", _file(name)) for path, name in FILES.items()),
        Route("/shim/events", page.events),
        Route("/shim/logs/{program:path}", page.log),
        Route("/shim/models/{name:path}/{word}", page.order, methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes))


class Page:
    def __init__(self, source: Source, mask: Mask) -> None:
        self._source = source
        self._mask = mask
        self._streams = 0

    async def events(self, request: Request) -> Response:
        return self._stream(events(self._source))

    async def log(self, request: Request) -> Response:
        program = request.path_params["program"]
        path = self._source.logs().get(program)
        if path is None:
            return error(404, f"There is no log of {program!r:.80}.")
        return self._stream(_lines(Tail(path, self._mask)))

    async def order(self, request: Request) -> Response:
        """It is answered when it is so."""
        name, word = request.path_params["name"], request.path_params["word"]
        if word not in self._source.orders:
            given = f"Give one of: {', '.join(self._source.orders)}" if self._source.orders else "One model takes none"
            return error(404, f"There is no order {word!r:.80}. {given}.")
        try:
            return JSONResponse({"model": name, "state": await self._source.order(name, word)})
        except KeyError:
            return error(404, f"There is no model {name!r:.80}.")
        except Unavailable as no:
            return error(no.status, no.sentence)

    def _stream(self, pieces: AsyncGenerator[str]) -> Response:
        if self._streams >= MOST_STREAMS:
            return unavailable(f"{MOST_STREAMS} streams of the page are open: close a tab.", RETRY_SECONDS)
        return StreamingResponse(self._counted(pieces), media_type="text/event-stream")

    async def _counted(self, pieces: AsyncGenerator[str]) -> AsyncIterator[str]:
        self._streams += 1
        try:
            yield "retry: 1000\n\n"
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    yield piece
        finally:
            self._streams -= 1


async def _lines(tail: Tail) -> AsyncGenerator[str]:
    silent = 0
    async for lines in tail.lines():
        if lines:
            yield event("lines", lines)
        silent = 0 if lines else silent + 1
        if silent == SILENT_LOOKS:
            silent = 0
            yield ": nothing new\n\n"


async def _to_the_page(request: Request) -> Response:
    return RedirectResponse("/shim/")


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return FileResponse(STATIC / name)

    return answer
