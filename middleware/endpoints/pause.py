"""/pause, /resume and /is_paused: generation stands still while a trainer replaces the weights, as in vLLM.
Called through the table of routes under VLLM_SHIM_RL and VLLM_SERVER_DEV_MODE; `middleware.weights.pause` does it.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.query import Query
from middleware.weights.pause import Mode


async def pause(context: Context, request: Request) -> Response:
    query = Query(request)
    mode = query.choice("mode", Mode.ABORT.value, tuple(mode.value for mode in Mode))
    clear_cache = query.flag("clear_cache", True)
    query.done()
    # A client that leaves has given its order all the same.
    await asyncio.shield(context.weights.pause.begin(Mode(mode), clear_cache=clear_cache))
    return JSONResponse({"status": "paused"})


async def resume(context: Context, request: Request) -> Response:
    await asyncio.shield(context.weights.pause.end())
    return JSONResponse({"status": "resumed"})


async def is_paused(context: Context, request: Request) -> Response:
    """Not while an update makes a pause of its own: vLLM's queue stands still then too, and is not paused."""
    return JSONResponse({"is_paused": context.weights.pause.is_asked_for})
