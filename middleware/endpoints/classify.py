"""/classify: a class for each input, in vLLM's shape, over SGLang's /v1/classify.
Called through the table of routes; SGLang's own /classify is another thing and is not shown.
"""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware import pooling
from middleware.calls import Calls, while_connected
from middleware.context import Context
from middleware.form import Form, json_object
from middleware.pooling import Common, Inputs


class _Class(msgspec.Struct):
    label: str | None
    probs: list[float]
    num_classes: int


class _Classes(msgspec.Struct):
    data: list[_Class]
    usage: pooling.Usage


async def classify(context: Context, request: Request) -> Response:
    body = await json_object(request, context.settings.policy)
    context.engine.require_admission()
    form = Form(body)
    asked = pooling.common(context, request, form, "classify")
    chat = isinstance(body.get("messages"), list)
    given = [] if chat else pooling.inputs(form)
    form.done()
    pooling.require(context, asked, body)
    answer = await while_connected(request.receive, _classes(context, body, given, asked, chat=chat))
    data = [{"index": index, **msgspec.to_builtins(item)} for index, item in enumerate(answer.data)]
    return JSONResponse(pooling.envelope(context, asked, data, answer.usage.prompt_tokens))


async def _classes(context: Context, body: dict[str, Any], given: Inputs, asked: Common, *, chat: bool) -> _Classes:
    if chat:
        given = await pooling.of_chat(context, body)
    ready = await pooling.prepared(context, given, asked)
    if ready and isinstance(ready[0], list):
        # SGLang's /v1/classify takes the ids of one input only.
        parts = [await _ask(context, item, asked) for item in ready]
        total = sum(part.usage.prompt_tokens for part in parts)
        return _Classes([item for part in parts for item in part.data], pooling.Usage(total))
    return await _ask(context, ready, asked)


async def _ask(context: Context, given: object, asked: Common) -> _Classes:
    status, content = await context.calls.ask("POST", "/v1/classify", msgspec.json.encode({"input": given}))
    if status != 200:
        raise pooling.refused(context, status, content, asked)
    answer = Calls.read(status, content, _Classes)
    context.metrics.counts.finished.inc("stop", by=len(answer.data))
    return answer
