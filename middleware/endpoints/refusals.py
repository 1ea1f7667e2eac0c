"""Routes of vLLM's that exist and are not served: switched off as vLLM switches them off, or not made yet.
Called through the table of routes.
"""

from starlette.requests import Request
from starlette.responses import Response

from middleware.context import Context
from middleware.errors import error

SCALE_OUT = "Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out to enable them."


async def scale_out(context: Context, request: Request) -> Response:
    """As vLLM without --enable-scale-out."""
    return error(403, SCALE_OUT)


async def rendered_apart(context: Context, request: Request) -> Response:
    """vLLM's halves of a chat: of these the middle alone is served, with --enable-scale-out."""
    if not context.settings.policy.scale_out:
        return await scale_out(context, request)
    path = request.scope["path"]
    return error(501, f"{path} is not served: /tokenize renders a chat, /inference/v1/generate takes and gives ids.")


async def not_served(context: Context, request: Request) -> Response:
    path = request.scope["path"]
    return error(501, f"{path} is not served yet: SGLang runs behind this API.")
