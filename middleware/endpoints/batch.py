"""/v1/chat/completions/batch: several conversations in one request, one choice each.
Called through the table of routes; each conversation goes through the table as a chat of its own.
"""

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.again import Heard, Repeated, inner_scope, replay
from middleware.calls import while_connected
from middleware.context import Context
from middleware.dialect.ids import assigned, is_plain
from middleware.endpoints.invocations import CHAT
from middleware.errors import bad_value, error
from middleware.form import Form, json_object
from middleware.headers import header

AT_ONCE = 64
# What a batch has no use for: vLLM ignores them there.
IGNORED = ("messages", "stream", "stream_options", "tools", "tool_choice", "request_id")
# For an order to abort all; what it has not reached then ends as what it has.
WAIT_SECONDS = 0.05
ABORTED = msgspec.json.encode(
    {
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ""},
                "logprobs": None,
                "finish_reason": "abort",
                "stop_reason": None,
            }
        ],
        "usage": {"prompt_tokens": 0, "total_tokens": 0, "completion_tokens": 0},
    }
)
USAGE = ("prompt_tokens", "total_tokens", "completion_tokens")


async def chat_batch(context: Context, request: Request) -> Response:
    body = await json_object(request, context.settings.policy)
    form = Form(body)
    conversations = _conversations(form)
    chosen = form.optional_text("request_id") or assigned(request.scope)
    form.done()
    if body.get("use_beam_search"):
        words = "Batch chat completions do not support beam search. Please set `use_beam_search` to False."
        raise bad_value(words, "use_beam_search")
    if body.get("n") not in (None, 1):
        raise bad_value("Batch chat completions do not support `n > 1`. Please set `n` to 1.", "n", body["n"])
    given = header(request.scope["headers"], b"x-request-id")
    request_id = chosen if given is None else given.decode("latin-1")
    shared = {name: value for name, value in body.items() if name not in IGNORED}
    answers = await while_connected(request.receive, _all(context, request, shared, conversations, request_id))
    for answer in answers:
        if answer.status != 200:
            return Repeated(bytes(answer.body), answer.status or 502, media_type="application/json")
    try:
        return JSONResponse(_together([msgspec.json.decode(answer.body) for answer in answers], request_id))
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError):
        return error(502, "The engine's answer cannot be read.")


async def _all(
    context: Context, request: Request, shared: dict[str, Any], conversations: list[Any], request_id: str
) -> list[Heard]:
    turns = asyncio.Semaphore(AT_ONCE)
    flow = context.metrics.flow
    aborts = flow.aborts

    async def one(at: int, messages: Any) -> Heard:
        content = msgspec.json.encode({**shared, "messages": messages})
        # SGLang refuses an id that is in use: each has its own.
        headers = [item for item in request.scope["headers"] if item[0] != b"x-request-id"]
        inner = f"{request_id}_{at}"
        if not is_plain(inner):  # It may be a field's, with the ends of lines in it.
            inner = f"{assigned(request.scope)}_{at}"
        headers.append((b"x-request-id", inner.encode()))
        heard = Heard()
        async with turns:
            while flow.aborting:  # noqa: ASYNC110 - an operator's order, which tells nobody when it is taken
                await asyncio.sleep(WAIT_SECONDS)
            if flow.aborts != aborts:
                return Heard(200, bytearray(ABORTED))
            scope = inner_scope(request.scope, CHAT, content, headers)
            await context.again(scope, replay(content, _forever), heard.send)
        return heard

    return await asyncio.gather(*(one(at, messages) for at, messages in enumerate(conversations)))


async def _forever() -> Any:
    """An inner request ends with its answer, or with the cancelling of the whole."""
    await asyncio.get_running_loop().create_future()


def _conversations(form: Form) -> list[Any]:
    given = form.items("messages")
    if given is None:
        return []
    for at, messages in enumerate(given):
        if not isinstance(messages, list):
            form.wrong("list_type", f"messages.{at}", "Input should be a valid list", messages)
        elif not messages:
            _too_short(form, f"messages.{at}", messages)
    if not given:
        _too_short(form, "messages", given)
    return given


def _too_short(form: Form, loc: str, value: object) -> None:
    form.wrong(
        "too_short",
        loc,
        "List should have at least 1 item after validation, not 0",
        value,
        field_type="List",
        min_length=1,
        actual_length=0,
    )


def _together(answers: list[dict[str, Any]], request_id: str) -> dict[str, Any]:
    choices = [{**choice, "index": at} for at, answer in enumerate(answers) for choice in answer["choices"]]
    used = {name: sum(answer["usage"][name] for answer in answers) for name in USAGE}
    usage = {**dict.fromkeys(answers[0]["usage"]), **used}
    return {**answers[0], "id": f"chatcmpl-{request_id}", "choices": choices, "usage": usage}
