"""/reset_prefix_cache and its kind: vLLM's development routes over SGLang's /flush_cache.
Called through the table of routes under VLLM_SERVER_DEV_MODE.
"""

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.errors import error
from middleware.query import Query

FLUSH_SECONDS = 30.0


async def reset_prefix_cache(context: Context, request: Request) -> Response:
    """False while requests hold blocks, as in vLLM; SGLang has no way to take them from running requests."""
    query = Query(request)
    running = query.flag("reset_running_requests")
    external = query.flag("reset_external")
    query.done()
    context.engine.require_alive()
    if running and context.load.count:
        return _not_served("reset_running_requests: SGLang cannot take the cache from requests that run")
    try:
        flushed = await _post(context, "/flush_cache")
        if external and flushed:
            flushed = await _post(context, "/hicache/storage-backend/clear")
    except httpx.HTTPError as failure:
        return error(502, f"The engine did not flush its cache ({type(failure).__name__}). Please retry.")
    return JSONResponse({"success": flushed})


async def reset_mm_cache(context: Context, request: Request) -> Response:
    """SGLang drops what it made of images together with its prefix cache, and not by itself."""
    context.engine.require_alive()
    try:
        if await _post(context, "/flush_cache"):
            return Response()
    except httpx.HTTPError as failure:
        return error(502, f"The engine did not flush its cache ({type(failure).__name__}). Please retry.")
    return error(503, "The cache of images cannot be reset while requests run. Please retry.")


async def _post(context: Context, path: str) -> bool:
    answer = await context.control.post(path, timeout=FLUSH_SECONDS)
    return answer.status_code == 200


def _not_served(what: str) -> Response:
    return error(501, f"{what}.")
