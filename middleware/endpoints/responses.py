"""/v1/responses where nothing is stored: a chat, whose answer is told as a response; and no response to be asked for.
Called through the table of routes without VLLM_ENABLE_RESPONSES_API_STORE; with it SGLang is asked.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from middleware.context import Context
from middleware.dialect.ids import identify
from middleware.fields.asked import no_such_response
from middleware.fields.edit import Editor
from middleware.fields.responses import RESPONSES
from middleware.intake import BODY_LIMIT, whole_body
from middleware.repair.guards import require_json, too_deep
from middleware.responses.answer import Answered
from middleware.responses.asking import Asked, asked

# Larger requests are read in a thread: every stream would wait for them.
READ_HERE = 64 * 1024


async def create_response(context: Context, request: Request) -> Response:
    context.engine.require_admission()
    settings = context.settings
    headers = request.scope["headers"]
    require_json(headers)
    body = await whole_body(request.receive, headers, settings.policy.max_request_body_bytes or BODY_LIMIT)

    def read() -> Asked:
        draft = Editor(RESPONSES, settings.strip_params, settings.policy).open(body)
        identify(draft.told, headers)
        try:
            return asked(draft, context.model.context_length)
        except RecursionError as exc:
            raise too_deep() from exc

    known = await asyncio.to_thread(read) if len(body) > READ_HERE else read()
    return Answered(context.again, known)


async def no_response(context: Context, request: Request) -> Response:
    return no_such_response(request.path_params["id"]).response
