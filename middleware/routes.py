"""THE table of paths: which methods, what answers, who may call. A path that is not in it does not exist.
Walked by `middleware.router` for every request and by `middleware.app` once, to build the endpoints of our own.
"""

import enum
from dataclasses import dataclass

from middleware.admin import opened
from middleware.context import Endpoint
from middleware.endpoints.health import health
from middleware.endpoints.load import load
from middleware.endpoints.metrics import metrics
from middleware.endpoints.models import models
from middleware.endpoints.version import version
from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.others import COUNTED, DECISIONS, EMBEDDINGS, MESSAGES, NATIVE, RERANK, TOKENIZE, VERTEX
from middleware.fields.record import CHECKED, Table
from middleware.fields.responses import RESPONSES
from middleware.settings import Settings

GET = ("GET",)
POST = ("POST",)


class Access(enum.Enum):
    OPEN = "open"
    KEY = "key"


OPEN = Access.OPEN
KEY = Access.KEY


@dataclass(frozen=True, slots=True)
class Route:
    """With `ours` it is answered here, with `body` the JSON in it is looked at, with neither it goes on as it came.

    What is `tracked` is work for the engine, and counts for /load.
    """

    path: str
    methods: tuple[str, ...]
    access: Access
    body: Table | None = None
    ours: Endpoint | None = None
    tracked: bool = False


# Who may call: vLLM guards /v1, /v2, /inference and /cohere and leaves the rest open, /tokenize and /metrics among it.
# SGLang's own generation routes are not vLLM's to leave open.
ROUTES: tuple[Route, ...] = (
    # Answered here.
    Route("/health", GET, OPEN, ours=health),
    Route("/ping", ("GET", "POST"), OPEN, ours=health),
    Route("/version", GET, OPEN, ours=version),
    Route("/load", GET, OPEN, ours=load),
    Route("/metrics", ("GET", "HEAD", "POST"), OPEN, ours=metrics),
    Route("/v1/models", GET, KEY, ours=models),
    # Fields are decided one by one. The body must be a JSON object: SGLang 0.5.23 answers 500 to an array, and shows
    # its files' paths in a 400.
    Route("/v1/chat/completions", POST, KEY, body=CHAT, tracked=True),
    Route("/v1/completions", POST, KEY, body=COMPLETIONS, tracked=True),
    Route("/v1/embeddings", POST, KEY, body=EMBEDDINGS, tracked=True),
    Route("/v1/responses", POST, KEY, body=RESPONSES, tracked=True),
    Route("/v1/messages", POST, KEY, body=MESSAGES, tracked=True),
    Route("/v1/messages/count_tokens", POST, KEY, body=COUNTED, tracked=True),
    Route("/v1/classify", POST, KEY, body=CHECKED, tracked=True),
    Route("/v1/score", POST, KEY, body=CHECKED, tracked=True),
    Route("/v1/rerank", POST, KEY, body=RERANK, tracked=True),
    Route("/v1/decisions", POST, KEY, body=DECISIONS, tracked=True),
    Route("/v1/systemone", POST, KEY, body=DECISIONS, tracked=True),
    Route("/classify", POST, OPEN, body=NATIVE, tracked=True),
    Route("/score", POST, OPEN, body=CHECKED, tracked=True),
    Route("/rerank", POST, OPEN, body=RERANK, tracked=True),
    Route("/tokenize", POST, OPEN, body=TOKENIZE),
    Route("/detokenize", POST, OPEN, body=CHECKED),
    # SGLang takes chat there and nothing else.
    Route("/invocations", POST, OPEN, body=CHAT),
    # As it came.
    Route("/v1/models/{name:path}", GET, KEY),
    Route("/v1/responses/{id}", GET, KEY, tracked=True),
    Route("/v1/responses/{id}/cancel", POST, KEY, tracked=True),
    Route("/v1/audio/transcriptions", POST, KEY, tracked=True),
    # SGLang's own ways to generate.
    Route("/generate", ("POST", "PUT"), KEY, body=NATIVE, tracked=True),
    Route("/encode", ("POST", "PUT"), KEY, body=NATIVE, tracked=True),
    Route("/v1/tokenize", POST, KEY, body=TOKENIZE),
    Route("/v1/detokenize", POST, KEY),
    Route("/vertex_generate", POST, KEY, body=VERTEX, tracked=True),
    Route("/api/chat", POST, KEY, tracked=True),
    Route("/api/generate", POST, KEY, tracked=True),
    Route("/api/show", POST, KEY),
    Route("/api/tags", GET, KEY),
    Route("/parse_function_call", POST, KEY),
    Route("/separate_reasoning", POST, KEY),
)


def routes(settings: Settings) -> tuple[Route, ...]:
    """The table, and the administrative routes that the operator has opened."""
    return ROUTES + tuple(Route(admin.path, admin.methods, KEY) for admin in opened(settings.expose_routes))
