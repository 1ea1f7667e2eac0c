"""/generative_scoring: how probable given tokens are after each item, over SGLang's /v1/score, where it comes from.
Called through the table of routes.
"""

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware import ids, pooling, tokens
from middleware.calls import while_connected
from middleware.context import Context
from middleware.errors import bad_request
from middleware.form import Form, json_object
from middleware.headers import header


class _Scores(msgspec.Struct):
    scores: list[list[float]]
    usage: pooling.Usage


@dataclass(frozen=True, slots=True)
class _Asked:
    query: Any
    items: list[Any]
    labels: list[int]
    softmax: bool
    first: bool
    special: bool
    model: str | None
    chosen: str


async def generative_scoring(context: Context, request: Request) -> Response:
    body = await json_object(request, context.settings.policy)
    context.engine.require_admission()
    asked = await asyncio.to_thread(_read, Form(body))
    model = context.model
    model.require(asked.model)
    await asyncio.to_thread(_require_labels, asked.labels, model.vocabulary)
    if not asked.items:
        raise bad_request("items must contain at least one item.")
    answer = await while_connected(request.receive, _scores(context, asked))
    given = header(request.scope["headers"], b"x-request-id")
    data = [{"index": at, "object": "score", "score": row[0]} for at, row in enumerate(answer.scores)]
    prompt, completion = answer.usage.prompt_tokens, len(answer.scores)
    return JSONResponse(
        {
            "id": f"generative-scoring-{asked.chosen if given is None else given.decode('latin-1')}",
            "object": "list",
            "created": int(time.time()),
            "model": model.answering(asked.model),
            "data": data,
            "usage": {
                **pooling.usage(prompt),
                "total_tokens": prompt + completion,
                "completion_tokens": completion,
            },
        }
    )


def _read(form: Form) -> _Asked:
    """In a thread: of a large request this takes a while."""
    asked = _Asked(
        query=_side(form, "query", many=False),
        items=_side(form, "items", many=True),
        labels=ids.read(form, "label_token_ids"),
        softmax=form.flag("apply_softmax", True),
        first=form.flag("item_first", False),
        special=form.flag("add_special_tokens", True),
        model=form.optional_text("model"),
        chosen=form.text("request_id") if "request_id" in form.body else uuid.uuid4().hex[:16],
    )
    form.done()
    return asked


def _require_labels(labels: list[int], vocabulary: int) -> None:
    for label in labels:
        if not 0 <= label < (vocabulary or 1 << 31):
            raise bad_request(
                f"label_token_id {label} is out of vocabulary range [0, {vocabulary}). Please provide valid token IDs."
            )
    if not labels:
        raise bad_request("label_token_ids must contain at least one token ID.")


async def _scores(context: Context, asked: _Asked) -> _Scores:
    """By ids: vLLM tokenizes the query and the items apart, and the items without special tokens."""
    calls, query, items = context.calls, asked.query, asked.items
    head = await tokens.of_text(calls, query, special=asked.special) if isinstance(query, str) else query
    rows = await tokens.of_texts(calls, items, special=False) if isinstance(items[0], str) else items
    body = await asyncio.to_thread(_written, context, head, rows, asked)
    answer = await calls.value("/v1/score", body, _Scores)
    context.metrics.counts.finished.inc("length", by=len(rows))
    if len(answer.scores) != len(rows) or not all(answer.scores):
        raise bad_request("The engine did not score every item.")
    return answer


def _written(context: Context, head: list[int], rows: list[list[int]], asked: _Asked) -> dict[str, Any]:
    """The request to SGLang, or Refused: a prompt of no tokens ends SGLang 0.5.23, and so does an id it has not."""
    for row in (head, *rows):
        tokens.require_in_vocabulary(context, row)
        if not head and not row:
            raise bad_request("The decoder prompt cannot be empty")
    longest = len(head) + max(map(len, rows))
    length = context.model.context_length
    if length is not None and longest >= length:
        raise pooling.too_long(length)
    return {
        "query": ids.written(head),
        "items": msgspec.Raw(b"[%b]" % b",".join(map(ids.written, rows))),
        "label_token_ids": ids.written(asked.labels),
        "apply_softmax": asked.softmax,
        "item_first": asked.first,
    }


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


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and all(type(number) is int for number in value)
