"""/abort_requests and /inference/v1/abort_requests: what a client asked for is ended, by the ids that it knows.
Called through the table of routes; `middleware.flow` has what runs.
"""

from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.calls import refused
from middleware.context import Context
from middleware.dialect.ids import PREFIXES
from middleware.errors import SCHEMA_TYPE, Refused, error
from middleware.fields.told import Told
from middleware.flow import ABORT
from middleware.form import Form, json_body
from middleware.intake import BODY_LIMIT, whole_body

IDS = "request_ids"
MISSING = f"Missing '{IDS}' in request body"


async def abort_inference(context: Context, request: Request) -> Response:
    """vLLM's beside its token routes, which wants to be told what."""
    body = _decoded(await json_body(request, context.settings.policy))
    if body.get(IDS) is None:
        raise _wrong(MISSING)
    ids = _ids(body)
    context.engine.require_alive()
    await _abort(context, ids)
    return Response()


async def abort_requests(context: Context, request: Request) -> Response:
    """That of vLLM's development server: none named is all. It looks at no content type, and counts what was named."""
    length = context.settings.policy.max_request_body_bytes or BODY_LIMIT
    body = _decoded(await whole_body(request.receive, request.scope["headers"], length))
    ids = _ids(body)
    context.engine.require_alive()
    if ids:
        await _abort(context, ids)
        return _aborted(len(ids))
    return _aborted(await _abort_all(context))


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _wrong("Invalid JSON format") from None
    if not isinstance(value, dict):
        raise _wrong("Request body must be a JSON object")
    return value


def _ids(body: dict[str, Any]) -> list[str]:
    if not body.get(IDS):
        return []
    form = Form(body)
    ids = form.items(IDS) or []
    for place, one in enumerate(ids):
        if not isinstance(one, str):
            form.wrong("string_type", f"{IDS}.{place}", "Input should be a valid string", one)
    form.done()
    return ids


async def _abort(context: Context, ids: Iterable[str]) -> None:
    """As vLLM, nothing is said of an id that nobody knows: it may just have ended."""
    wanted = set(ids)
    found = [told for told in list(context.metrics.flow.running.values()) if _is_one(told, wanted)]
    for told in found:
        if told.n == 1:
            _obeyed(*await context.calls.ask("POST", ABORT, msgspec.json.encode({"rid": told.rid})))
    # SGLang 0.5.23 gives each of several choices an id of its own, and tells it to nobody.
    if several := [told.id for told in found if told.n > 1]:
        words = f"Not aborted, each has several choices: {', '.join(several)}. Close its connection, or abort all."
        raise Refused(error(501, words))


def _is_one(told: Told, wanted: set[str]) -> bool:
    """vLLM's id is the answer's; what the client chose is the end of it."""
    return told.id in wanted or told.id.removeprefix(PREFIXES.get(told.kind, "")) in wanted


async def _abort_all(context: Context) -> int:
    flow = context.metrics.flow
    before = flow.active
    _obeyed(*await flow.abort_all(partial(context.calls.ask, "POST", ABORT)))
    return before


def _obeyed(status: int, content: bytes) -> None:
    if status != HTTPStatus.OK:
        raise refused(status, content)


def _aborted(number: int) -> Response:
    return JSONResponse({"status": "aborted", "aborted": number})


def _wrong(words: str) -> Refused:
    return Refused(error(400, words, kind=SCHEMA_TYPE))
