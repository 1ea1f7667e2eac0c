"""/version: the vLLM that we speak for, because clients decide by it what they may ask.
Called through the table of routes.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context

VLLM_VERSION = "0.33.0"


async def version(context: Context, request: Request) -> Response:
    return JSONResponse({"version": VLLM_VERSION})
