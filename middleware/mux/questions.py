"""What only asks how a model is: THE table of these paths. They are answered without a turn, and wake nobody.
Asked by `middleware.mux.front` once it is known whom a request is for.
"""

from math import ceil

from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from middleware.engine import RETRY_SECONDS
from middleware.errors import error
from middleware.mux import own
from middleware.mux.house import House
from middleware.mux.members import Served
from switcher.snapshot import MemberNow
from switcher.states import State

MODELS = "/v1/models"
# What a model's own application knows when there is no engine, too.
WITHOUT_ENGINE = frozenset({"/load", "/metrics", "/metrics/", "/is_scaling_elastic_ep"})
# What it knows of an engine that sleeps or serves. SGLang's own are there where the operator has opened them.
OF_AN_ENGINE = frozenset(
    {
        "/health",
        "/ping",
        "/ready",
        "/liveness",
        "/is_sleeping",
        "/is_paused",
        "/weight_info",
        "/server_info",
        "/get_server_info",
        "/model_info",
        "/get_model_info",
        "/get_world_size",
        "/v1/loads",
        "/api/tags",
    }
)
QUESTIONS = {MODELS} | WITHOUT_ENGINE | OF_AN_ENGINE
# Of another server, whose paths may mean something else by other methods. Its health path is one besides.
ASKING = frozenset({"GET", "HEAD"})

# Without a process there is nobody to ask.
ABSENT: dict[State, str] = {
    State.STOPPED: (
        "The model {name!r} is stopped, and is not started to be asked {path}: a request that needs it does that, or"
        " POST /models/{name}/load."
    ),
    State.STARTING: "The model {name!r} is starting, and cannot be asked {path} yet. Please retry.",
    State.BACKOFF: "The model {name!r} could not be started: {error}. It cannot be asked {path}. Please retry.",
}


def asks(served: Served, scope: Scope) -> bool:
    path = scope["path"]
    if served.built is not None:
        return path in QUESTIONS
    known = path in QUESTIONS or path in own.OF_NO_MODEL or path == served.member.health
    return known and scope["method"] in ASKING


def answer(house: House, served: Served, path: str) -> Response | None:
    """To what `asks`. None: its own application answers, and needs no turn for it."""
    now = house.switcher.snapshot()[served.name]
    is_ours = served.built is not None
    if path == MODELS and (is_ours or now.state in ABSENT):
        return JSONResponse({"object": "list", "data": own.cards_of(house, now)})
    if now.state not in ABSENT or (is_ours and path in WITHOUT_ENGINE):
        return None
    return _absent(now, path)


def _absent(now: MemberNow, path: str) -> Response:
    sentence = ABSENT[now.state].format(name=now.name, path=path, error=now.error)
    return error(503, sentence, headers={"retry-after": str(ceil(now.retry_seconds) or RETRY_SECONDS)})
