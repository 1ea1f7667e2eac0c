"""/generative_scoring: how probable given tokens are after each item, over SGLang's /v1/score, where it comes from.
Called through the table of routes.
"""

import time
import uuid
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware import pooling, tokens
from middleware.calls import while_connected
from middleware.context import Context
from middleware.errors import bad_request
from middleware.form import Form, json_object
from middleware.headers import header


class _Scores(msgspec.Struct):
    scores: list[list[float]]
    usage: pooling.Usage


async def generative_scoring(context: Context, request: Request) -> Response:
    body = await json_object(request, context.settings.policy)
    context.engine.require_admission()
    form = Form(body)
    query = _side(form, "query", many=False)
    items = _side(form, "items", many=True)
    labels = _labels(form)
    softmax = form.flag("apply_softmax", True)
    first = form.flag("item_first", False)
    special = form.flag("add_special_tokens", True)
    name = form.optional_text("model")
    chosen = form.text("request_id") if "request_id" in body else uuid.uuid4().hex[:16]
    form.done()
    model = context.model
    model.require(name)
    for label in labels:
        if label < 0 or (model.vocabulary and label >= model.vocabulary):
            raise bad_request(
                f"label_token_id {label} is out of vocabulary range [0, {model.vocabulary}). "
                "Please provide valid token IDs."
            )
    if not labels:
        raise bad_request("label_token_ids must contain at least one token ID.")
    if not items:
        raise bad_request("items must contain at least one item.")
    work = _scores(context, query, items, special=special, labels=labels, softmax=softmax, first=first)
    answer = await while_connected(request.receive, work)
    given = header(request.scope["headers"], b"x-request-id")
    data = [{"index": at, "object": "score", "score": row[0]} for at, row in enumerate(answer.scores)]
    prompt, completion = answer.usage.prompt_tokens, len(answer.scores)
    return JSONResponse(
        {
            "id": f"generative-scoring-{chosen if given is None else given.decode('latin-1')}",
            "object": "list",
            "created": int(time.time()),
            "model": model.answering(name),
            "data": data,
            "usage": {
                **pooling.usage(prompt),
                "total_tokens": prompt + completion,
                "completion_tokens": completion,
            },
        }
    )


async def _scores(
    context: Context, query: Any, items: list[Any], *, special: bool, labels: list[int], softmax: bool, first: bool
) -> _Scores:
    """By ids: vLLM tokenizes the query and the items apart, and the items without special tokens."""
    calls = context.calls
    head = await tokens.of_text(calls, query, special=special) if isinstance(query, str) else query
    rows = await tokens.of_texts(calls, items, special=False) if isinstance(items[0], str) else items
    for row in (head, *rows):
        tokens.require_in_vocabulary(context, row)
    longest = len(head) + max(map(len, rows))
    length = context.model.context_length
    if length is not None and longest >= length:
        raise pooling.too_long(length)
    asked = {
        "query": head, "items": rows, "label_token_ids": labels, "apply_softmax": softmax, "item_first": first
    }  # fmt: skip
    answer = await calls.value("/v1/score", asked, _Scores)
    if len(answer.scores) != len(rows) or not all(answer.scores):
        raise bad_request("The engine did not score every item.")
    return answer


def _side(form: Form, name: str, *, many: bool) -> Any:
    """A text or ids; with `many` a list of either."""
    if name not in form.body:
        form.missing(name)
        return []
    value = form.body[name]
    if many:
        if isinstance(value, list) and (
            all(isinstance(item, str) for item in value) or all(_are_ids(item) for item in value)
        ):
            return value
        form.wrong("list_type", name, "Input should be a valid list", value)
    elif isinstance(value, str) or _are_ids(value):
        return value
    else:
        form.wrong("string_type", name, "Input should be a valid string", value)
    return []


def _labels(form: Form) -> list[int]:
    given = form.items("label_token_ids") or ()
    numbers = [form.as_integer(f"label_token_ids.{at}", item) for at, item in enumerate(given)]
    return [number for number in numbers if number is not None]


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and all(type(number) is int for number in value)
