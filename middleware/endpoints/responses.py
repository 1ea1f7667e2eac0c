"""/v1/responses/{id} where responses are not stored: there is none, in the words in which vLLM says so.
Called through the table of routes without VLLM_ENABLE_RESPONSES_API_STORE; with it SGLang is asked.
"""

from starlette.requests import Request
from starlette.responses import Response

from middleware.context import Context
from middleware.fields.asked import no_such_response


async def no_response(context: Context, request: Request) -> Response:
    return no_such_response(request.path_params["id"]).response
