"""/version: the vLLM that we speak for, because clients go by it; ours stands beside it, in a header.
Called through the table of routes.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.versions import OUR_VERSION, VLLM_VERSION


async def version(context: Context, request: Request) -> Response:
    return JSONResponse({"version": VLLM_VERSION}, headers={"x-vllm-to-sglang": OUR_VERSION})
