"""/load: the requests with the engine, 0 without --enable-server-load-tracking, as in vLLM.
Called through the table of routes; routers balance by it.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context


async def load(context: Context, request: Request) -> Response:
    return JSONResponse({"server_load": context.load.count})
