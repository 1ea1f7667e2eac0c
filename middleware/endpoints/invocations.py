"""/invocations: SageMaker's one path for every kind of request, told apart by their fields as vLLM does.
Called through the table of routes; what it finds goes through the table once more.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from middleware.again import Again
from middleware.context import Context
from middleware.endpoints.score import SIDES
from middleware.errors import bad_request
from middleware.form import json_body, top_level
from middleware.headers import header
from middleware.tasks import Task

# SageMaker's client names an adapter in a header.
ADAPTER = b"x-amzn-sagemaker-adapter-identifier"
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


async def invocations(context: Context, request: Request) -> Response:
    headers = request.scope["headers"]
    content = await json_body(request, context.settings.policy)
    body = top_level(content)
    if adapter := header(headers, ADAPTER):
        content = msgspec.json.encode({**body, "model": adapter.decode("latin-1")})
    return Again(context.again, _path(context, body), content, headers)


def _path(context: Context, body: dict[str, msgspec.Raw]) -> str:
    serves = context.model.serves
    chat = "messages" in body and bytes(memoryview(body["messages"])[:1]) == b"["
    if serves(Task.GENERATE) and (context.model.tasks is not None or chat or "prompt" in body):
        # vLLM takes whatever is no chat for a completion, and misses its prompt.
        return CHAT if chat else COMPLETIONS
    if chat or "input" in body:
        if serves(Task.EMBED):
            return "/v1/embeddings"
        return "/classify" if serves(Task.CLASSIFY) else "/pooling"
    if serves(Task.SCORE) and "query" in body and "documents" in body:
        return "/rerank"
    if serves(Task.SCORE) and any(one in body and other in body for one, other in SIDES):
        return "/score"
    if context.model.tasks is None:
        return COMPLETIONS
    raise bad_request("Cannot find suitable handler for request: it is of no kind that this model serves.")
