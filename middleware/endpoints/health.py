"""/health and /ping: vLLM's liveness probes, answered from the engine's state without any I/O.
Called through the table of routes; haproxy asks /health several times a second.
"""

from starlette.requests import Request
from starlette.responses import Response

from middleware.context import Context


async def health(context: Context, request: Request) -> Response:
    return context.engine.health()
