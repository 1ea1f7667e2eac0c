"""/sleep, /wake_up, /is_sleeping and /release_kv_cache_memory: the GPUs' memory is lent to others, as in vLLM.
Called through the table of routes under VLLM_SERVER_DEV_MODE; `middleware.sleeping` does it.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.engine import RETRY_SECONDS
from middleware.errors import Refused, error, unavailable
from middleware.query import Query
from middleware.saver import SleepError
from middleware.weights.pause import Mode

T = TypeVar("T")


async def sleep(context: Context, request: Request) -> Response:
    query = Query(request)
    level = query.number("level", 1, 0, 2)
    mode = query.choice("mode", Mode.ABORT.value, tuple(mode.value for mode in Mode))
    query.done()
    await _obeyed(context.sleeping.sleep(level, Mode(mode)))
    return JSONResponse({"status": "sleeping", "level": level})


async def wake_up(context: Context, request: Request) -> Response:
    """Weights that level 2 has dropped are the caller's to bring, as in vLLM; without them nothing is served."""
    tags = request.query_params.getlist("tags") or None
    awake = await _obeyed(context.sleeping.wake(tags, reload=context.sleeping.level < 2))
    return JSONResponse({"status": "awake" if awake else "sleeping", "tags": tags})


async def release_kv_cache_memory(context: Context, request: Request) -> Response:
    await _obeyed(context.sleeping.release_kv_cache())
    return JSONResponse({"status": "kv_cache_released"})


async def is_sleeping(context: Context, request: Request) -> Response:
    """A pause is vLLM's sleep of level 0."""
    return JSONResponse({"is_sleeping": context.sleeping.is_asleep or context.weights.pause.is_asked_for})


async def _obeyed(order: Awaitable[T]) -> T:
    """A client that leaves has given its order all the same: half of one would leave SGLang to die of the next."""
    try:
        return await asyncio.shield(order)
    except SleepError as failure:
        sentence = f"{failure}."
        response = unavailable(sentence, RETRY_SECONDS) if failure.status == 503 else error(failure.status, sentence)
        raise Refused(response) from failure
