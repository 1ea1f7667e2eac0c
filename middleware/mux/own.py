"""What is asked of all models at once, and the operator's orders to one: THE table of these paths.
Walked by `middleware.mux.front` before a model is looked for.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope

from middleware.dialect.ids import assigned
from middleware.endpoints.models import card, cards
from middleware.engine import RETRY_SECONDS
from middleware.errors import Refused, error, unavailable
from middleware.metrics.exposition import CONTENT_TYPE
from middleware.mux import pages, told
from middleware.mux.house import House, sglangs
from middleware.route import GET, POST, Access, Route
from switcher.exceptions import Unavailable
from switcher.snapshot import MemberNow
from switcher.states import State
from switcher.switcher import Switcher

log = logging.getLogger("middleware.mux")

Answer = Callable[[House, Request], Awaitable[Response]]
Order = Callable[[Switcher, str], Awaitable[State]]

ORDERS: dict[str, Order] = {
    "load": Switcher.load,
    "unload": Switcher.unload,
    "sleep": Switcher.put_to_sleep,
    "wake": Switcher.load,
}
MODELS = "/models/"
CLOSED = "Orders are closed. Start the server with an API key, or with VLLM_SERVER_DEV_MODE=1, to give them."
# Of the server, and the same whoever answers: the first model's application, awake or not.
OF_NO_MODEL = frozenset({"/version", "/kv_event_sources", "/openapi.json", "/docs", "/redoc"})


async def health(house: House, request: Request) -> Response:
    """A request can be served, or queued."""
    states = [one.state for one in house.switcher.snapshot().members]
    if house.is_switching and any(state is not State.BACKOFF for state in states):
        return Response()
    why = "every model failed to start, and is tried again" if house.is_switching else "the switcher has ended"
    return unavailable(f"No model can be served: {why}.", RETRY_SECONDS)


async def models(house: House, request: Request) -> Response:
    data = [card for one in house.switcher.snapshot().members for card in cards_of(house, one)]
    return JSONResponse({"object": "list", "data": data})


def cards_of(house: House, one: MemberNow) -> list[dict[str, Any]]:
    """What a model's own application knows of it, once it has been awake; and its state."""
    served = house.served.get(one.name)
    if served is None:
        return []
    built = served.built
    if built is not None and built.context.model.context_length is not None:
        mine = cards(built.context.model)
    else:
        root = built.context.model.path if built is not None else ""
        mine = [card(name, root=root or None) for name in one.member.names]
    return [{**each, "state": one.state.value} for each in mine]


async def running(house: House, request: Request) -> Response:
    return JSONResponse(told.document(house))


async def load(house: House, request: Request) -> Response:
    counts = [context.load.count for _, context in sglangs(house.served.values())]
    return JSONResponse({"server_load": sum(counts)})


async def metrics(house: House, request: Request) -> Response:
    return Response(await pages.page(house), headers={"content-type": CONTENT_TYPE})


async def order(house: House, request: Request) -> Response:
    """POST /models/NAME/load and the others; it is answered when it is so."""
    if not house.settings.api_keys and not house.settings.policy.dev_mode:
        raise Refused(error(403, CLOSED))
    given, _, word = request.scope["path"].removeprefix(MODELS).rpartition("/")
    obey = ORDERS.get(word)
    if obey is None:
        raise Refused(error(404, f"There is no order {word!r}. Give one of: {', '.join(ORDERS)}."))
    name = house.naming.member(given)
    state = await obey(house.switcher, name)
    return JSONResponse({"model": name, "state": state.value})


@dataclass(frozen=True, slots=True)
class Own:
    route: Route
    answer: Answer


def _own(path: str, methods: tuple[str, ...], access: Access, answer: Answer) -> Own:
    return Own(Route(path, methods, access), answer)


SCRAPED = ("GET", "HEAD", "POST")
TABLE: tuple[Own, ...] = (
    _own("/health", GET, Access.OPEN, health),
    _own("/ping", ("GET", "POST"), Access.OPEN, health),
    _own("/ready", GET, Access.OPEN, health),
    _own("/load", GET, Access.OPEN, load),
    _own("/metrics", SCRAPED, Access.OPEN, metrics),
    _own("/metrics/", SCRAPED, Access.OPEN, metrics),
    _own("/v1/models", GET, Access.KEY, models),
    _own("/models", GET, Access.KEY, models),  # sglangmux's
    _own("/running", GET, Access.KEY, running),  # llama-swap's
    _own(MODELS, POST, Access.KEY, order),
)


class Table:
    """route = table.find(path)    # None: a model's, or nobody's
    response = await table.answer(route, scope, receive)
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._by_path = {own.route.path: own for own in TABLE}

    def find(self, path: str) -> Route | None:
        own = self._by_path.get(path) or (self._by_path[MODELS] if path.startswith(MODELS) else None)
        return own.route if own is not None else None

    async def answer(self, route: Route, scope: Scope, receive: Receive) -> Response:
        try:
            return await self._by_path[route.path].answer(self._house, Request(scope, receive))
        except Unavailable as no:
            headers = {} if no.retry_after is None else {"retry-after": str(no.retry_after)}
            return error(no.status, no.sentence, headers=headers)
        except Refused:
            raise
        except Exception:
            log.exception("%s: %s %s", assigned(scope), scope["method"], route.path)
            return error(500, "The middleware failed to answer this request.")
