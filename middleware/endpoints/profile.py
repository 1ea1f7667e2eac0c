"""/start_profile and /stop_profile: vLLM's names for what SGLang's profiler is told.
Called through the table of routes where --profiler-config names a profiler.
"""

import re
from typing import Any

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from middleware.context import Context
from middleware.dialect.errors import message_of
from middleware.dialect.scrub import scrubbed
from middleware.errors import error
from middleware.form import Form, decoded
from middleware.intake import BODY_LIMIT, whole_body

# SGLang writes its traces before it answers.
PROFILE_SECONDS = 600.0
# vLLM makes file names of it, and so does SGLang: it must not lead elsewhere.
_PREFIX = re.compile(r"[\w.\-]{1,128}")


async def start_profile(context: Context, request: Request) -> Response:
    body = await whole_body(request.receive, request.scope["headers"], BODY_LIMIT)
    form = Form(decoded(body) if body.strip() not in (b"", b"null") else {})
    asked: dict[str, Any] = {}
    if (prefix := form.optional_text("profile_prefix")) is not None:
        if not _PREFIX.fullmatch(prefix) or prefix.startswith("."):
            return error(400, "profile_prefix may hold letters, digits, dots, dashes and underscores.")
        asked["profile_prefix"] = prefix
    if form.body.get("max_iterations") is not None:
        asked["num_steps"] = form.integer("max_iterations", 1, least=1)
    delay = 0 if form.body.get("delay_iterations") is None else form.integer("delay_iterations", 0, least=0)
    form.done()
    if delay:
        # SGLang counts steps from its start, and does not say how many there were.
        return error(400, "delay_iterations is not supported: SGLang's profiler starts at once.")
    if form.body.get("profiler_kwargs"):
        return error(400, "profiler_kwargs is not supported: SGLang's profiler has settings of its own.")
    return await _tell(context, "/start_profile", msgspec.json.encode(asked))


async def stop_profile(context: Context, request: Request) -> Response:
    return await _tell(context, "/stop_profile", b"")


async def _tell(context: Context, path: str, body: bytes) -> Response:
    context.engine.require_alive()
    headers = {"content-type": "application/json"} if body else {}
    try:
        answer = await context.control.post(path, content=body, headers=headers, timeout=PROFILE_SECONDS)
    except httpx.HTTPError as failure:
        return error(502, f"The engine's profiler did not answer ({type(failure).__name__}). Please retry.")
    if answer.status_code == 200:
        return Response()
    # SGLang 0.5.23 answers a plain 500 when no profile runs, and when one runs already.
    return error(
        500,
        scrubbed(message_of(answer.content))
        or "The engine's profiler refused: it may be running already, or not at all.",
    )
