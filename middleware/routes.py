"""THE table of paths: which methods, what answers, who may call. A path that is not in it does not exist.
Walked by `middleware.router` for every request and by `middleware.app` once, to build the endpoints of our own.
"""

import enum
from dataclasses import dataclass

from middleware.admin import opened
from middleware.context import Endpoint
from middleware.endpoints.health import health
from middleware.endpoints.metrics import metrics
from middleware.endpoints.models import models
from middleware.endpoints.version import version
from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.record import CHECKED, Table
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
    """With `ours` it is answered here, with `body` the JSON in it is looked at, with neither it goes on as it came."""

    path: str
    methods: tuple[str, ...]
    access: Access
    body: Table | None = None
    ours: Endpoint | None = None


# Who may call: vLLM guards /v1, /v2, /inference and /cohere and leaves the rest open, /tokenize and /metrics among it.
# SGLang's own generation routes are not vLLM's to leave open.
ROUTES: tuple[Route, ...] = (
    # Answered here.
    Route("/health", GET, OPEN, ours=health),
    Route("/ping", ("GET", "POST"), OPEN, ours=health),
    Route("/version", GET, OPEN, ours=version),
    Route("/metrics", ("GET", "HEAD", "POST"), OPEN, ours=metrics),
    Route("/v1/models", GET, KEY, ours=models),
    # Fields are decided one by one.
    Route("/v1/chat/completions", POST, KEY, body=CHAT),
    Route("/v1/completions", POST, KEY, body=COMPLETIONS),
    # The body must be a JSON object: SGLang 0.5.23 answers 500 to an array, and shows its files' paths in a 400.
    Route("/v1/embeddings", POST, KEY, body=CHECKED),
    Route("/v1/responses", POST, KEY, body=CHECKED),
    Route("/v1/messages", POST, KEY, body=CHECKED),
    Route("/v1/messages/count_tokens", POST, KEY, body=CHECKED),
    Route("/v1/classify", POST, KEY, body=CHECKED),
    Route("/v1/score", POST, KEY, body=CHECKED),
    Route("/v1/rerank", POST, KEY, body=CHECKED),
    Route("/v1/decisions", POST, KEY, body=CHECKED),
    Route("/v1/systemone", POST, KEY, body=CHECKED),
    Route("/classify", POST, OPEN, body=CHECKED),
    Route("/score", POST, OPEN, body=CHECKED),
    Route("/rerank", POST, OPEN, body=CHECKED),
    Route("/tokenize", POST, OPEN, body=CHECKED),
    Route("/detokenize", POST, OPEN, body=CHECKED),
    Route("/invocations", POST, OPEN, body=CHECKED),
    # As it came.
    Route("/v1/models/{name:path}", GET, KEY),
    Route("/v1/responses/{id}", GET, KEY),
    Route("/v1/responses/{id}/cancel", POST, KEY),
    Route("/v1/audio/transcriptions", POST, KEY),
    # SGLang's own ways to generate.
    Route("/generate", ("POST", "PUT"), KEY),
    Route("/encode", ("POST", "PUT"), KEY),
    Route("/v1/tokenize", POST, KEY),
    Route("/v1/detokenize", POST, KEY),
    Route("/vertex_generate", POST, KEY),
    Route("/api/chat", POST, KEY),
    Route("/api/generate", POST, KEY),
    Route("/api/show", POST, KEY),
    Route("/api/tags", GET, KEY),
    Route("/parse_function_call", POST, KEY),
    Route("/separate_reasoning", POST, KEY),
)


def routes(settings: Settings) -> tuple[Route, ...]:
    """The table, and the administrative routes that the operator has opened."""
    return ROUTES + tuple(Route(admin.path, admin.methods, KEY) for admin in opened(settings.expose_routes))
