"""/collective_rpc and /liveness: the two of vLLM's orders to its workers that SGLang has, and whether they live.
Called through the table of routes under VLLM_SHIM_RL and VLLM_SERVER_DEV_MODE.
"""

import asyncio
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.endpoints.adapters import unshadow
from middleware.endpoints.server_info import world_size
from middleware.engine import State
from middleware.errors import SCHEMA_TYPE, Refused, bad_request, error
from middleware.form import json_object

LIVENESS_SECONDS = 30.0  # prime-rl's liveness_timeout_seconds
METHODS = ("check_health", "reload_weights")


async def collective_rpc(context: Context, request: Request) -> Response:
    body = await json_object(request, context.settings.policy)
    method = body.get("method")
    if method is None:
        raise Refused(error(400, "Missing 'method' in request body", kind=SCHEMA_TYPE))
    if method not in METHODS:
        words = f"The method {str(method)[:100]!r} is vLLM's workers': of those SGLang has {' and '.join(METHODS)}."
        raise Refused(error(501, words))
    if method == "check_health":
        if not await _lives(context):
            raise Refused(error(500, f"The engine's workers did not answer within {LIVENESS_SECONDS:g} s."))
    else:
        await _reload(context, body)
        await unshadow(context)
    return JSONResponse({"results": [None] * await world_size(context)})


async def _reload(context: Context, body: dict[str, Any]) -> None:
    """vLLM's `reload_weights(weights_iterator=None, weights_path=None, is_checkpoint_format=True)`."""
    kwargs = body.get("kwargs") or {}
    unknown = sorted(set(kwargs) - {"weights_path"}) if isinstance(kwargs, dict) else [str(kwargs)[:100]]
    if body.get("args") or unknown:
        raise bad_request("reload_weights takes one keyword here: weights_path, a folder in this container.")
    path = kwargs.get("weights_path")
    if path is None:
        await context.weights.updates.reload()
    elif isinstance(path, str):
        await context.weights.updates.load(path)
    else:
        raise bad_request("weights_path must be a string, the path of a folder in this container.")


async def liveness(context: Context, request: Request) -> Response:
    if await _lives(context):
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "engine_unresponsive"}, 503)


async def _lives(context: Context) -> bool:
    """SGLang's /server_info asks its scheduler, which answers between two steps; a load of weights is one long step."""
    if context.engine.state in (State.PAUSED, State.ASLEEP):
        return True
    if not context.engine.alive:
        return False
    try:
        async with asyncio.timeout(LIVENESS_SECONDS):
            return (await context.control.get("/server_info", timeout=LIVENESS_SECONDS)).status_code == 200
    except (TimeoutError, httpx.HTTPError):
        return False
