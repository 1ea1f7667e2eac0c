"""/v1/responses where nothing is stored: a chat, whose answer is told as a response; and no response to be asked for.
Called through the table of routes without VLLM_ENABLE_RESPONSES_API_STORE; with it SGLang is asked.
"""

from starlette.requests import Request
from starlette.responses import Response

from middleware.aside import aside
from middleware.context import Context
from middleware.dialect.ids import assigned, identify
from middleware.fields.asked import no_such_response
from middleware.fields.edit import Editor
from middleware.fields.responses import RESPONSES
from middleware.form import json_body
from middleware.repair.guards import too_deep
from middleware.responses.answer import Answered
from middleware.responses.asking import Asked, asked


async def create_response(context: Context, request: Request) -> Response:
    context.engine.require_admission()
    settings = context.settings
    body = await json_body(request, settings.policy)
    name = assigned(request.scope)

    def read() -> Asked:
        draft = Editor(RESPONSES, settings.strip_params, settings.policy).open(body)
        identify(draft.told, request.scope["headers"], name)
        try:
            return asked(draft, context.model.context_length)
        except RecursionError as exc:
            raise too_deep() from exc

    return Answered(context.again, await aside(len(body), read))


async def no_response(context: Context, request: Request) -> Response:
    return no_such_response(request.path_params["id"]).response
