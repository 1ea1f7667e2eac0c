"""/health and /ping, vLLM's liveness probes, and /ready, for who routes by readiness: the engine's state, without I/O.
Called through the table of routes; haproxy asks /health several times a second, and answers in our place when it fails.
"""

from starlette.requests import Request
from starlette.responses import Response

from middleware.context import Context


async def health(context: Context, request: Request) -> Response:
    return context.engine.health()


async def ready(context: Context, request: Request) -> Response:
    return context.engine.readiness()
