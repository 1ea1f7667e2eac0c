"""The ways of a trainer to send weights by NCCL: refused with a sentence that names what to do, and remembered.
Called through the table of routes under VLLM_SHIM_RL and VLLM_SERVER_DEV_MODE.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.weights.transfer import DISK, TRL


async def init_broadcaster(context: Context, request: Request) -> Response:
    """prime-rl's. It goes on after any error; the update that follows is refused in a way that it heeds."""
    raise context.weights.transfers.refuse("/init_broadcaster", DISK)


async def weight_transfer(context: Context, request: Request) -> Response:
    """vLLM's own, which TRL uses: the beginning, and all that would come behind it."""
    raise context.weights.transfers.refuse(request.scope["path"], TRL)


async def shutdown_weight_transfer_engine(context: Context, request: Request) -> Response:
    """There is none: nothing is left to be done."""
    return JSONResponse({"message": "Weight transfer shut down"})
