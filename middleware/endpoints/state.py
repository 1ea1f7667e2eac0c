"""/is_scaling_elastic_ep and /kv_event_sources: what vLLM tells of its own state and what never changes here.
Called through the table of routes.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context


async def is_scaling(context: Context, request: Request) -> Response:
    """SGLang's data parallel ranks are those of its start."""
    idle = {"phase": "idle", "epoch": None, "error": None, "requested_data_parallel_size": None}
    return JSONResponse({"is_scaling_elastic_ep": False, **idle})


async def kv_event_sources(context: Context, request: Request) -> Response:
    """None to connect to: SGLang's publishers are named by its own command line."""
    return JSONResponse({})
