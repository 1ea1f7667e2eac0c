"""/score and /rerank with their v1 and v2 paths: how well texts go together, in vLLM's shapes.
Called through the table of routes; a classifier is asked by SGLang's /v1/rerank, an embedding model by its vectors.
"""

import array
import asyncio
import math
import operator
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware import pooling, vectors
from middleware.aside import aside
from middleware.calls import Calls, while_connected
from middleware.context import Context
from middleware.errors import Refused, bad_request, bad_value, error
from middleware.form import Form, json_object
from middleware.pooling import Common, Vectors
from middleware.tasks import Task

# The names of the two sides, in the order in which vLLM tries them.
SIDES = (("queries", "documents"), ("queries", "items"), ("data_1", "data_2"), ("text_1", "text_2"))
# Pairs of one request that SGLang is asked for at the same time.
AT_ONCE = 16
UNSUPPORTED = ("max_tokens_per_query", "max_tokens_per_doc", "truncate_prompt_tokens")


class _Ranked(msgspec.Struct):
    index: int
    score: float
    meta_info: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    numbers: "array.array[float]"
    squared: float


async def score(context: Context, request: Request) -> Response:
    body = await json_object(request, context.settings.policy)
    context.engine.require_admission()
    form = Form(body)
    asked = pooling.common(context, request, form, "score")
    sides = next((pair for pair in SIDES if pair[0] in body and pair[1] in body), None)
    left = right = [""]
    if sides is None:
        for name in dict.fromkeys(name for pair in SIDES for name in pair if name not in body):
            form.missing(name)
    else:
        left, right = _texts(form, sides[0]), _texts(form, sides[1])
    form.done()
    _require(context, asked, body)
    if len(left) > 1 and len(left) != len(right):
        raise bad_request("Input lengths must be either 1:1, 1:N or N:N")
    if not left:
        raise bad_request("At least one text element must be given")
    if not right:
        raise bad_request("At least one text_pair element must be given")
    scores, count = await while_connected(request.receive, _scores(context, left, right, asked, body))
    data = [{"index": index, "object": "score", "score": value} for index, value in enumerate(scores)]
    return JSONResponse(pooling.envelope(context, asked, data, count))


async def rerank(context: Context, request: Request) -> Response:
    body = await json_object(request, context.settings.policy)
    context.engine.require_admission()
    form = Form(body)
    asked = pooling.common(context, request, form, "score")
    query = _texts(form, "query")
    documents = _texts(form, "documents")
    first = form.integer("top_n", 0, least=0)
    form.done()
    _require(context, asked, body)
    if isinstance(body["query"], list):
        raise bad_request("query must be one text")
    if not documents:
        raise bad_request("At least one text_pair element must be given")
    scores, count = await while_connected(request.receive, _scores(context, query, documents, asked, body))
    order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
    results = [
        {"index": at, "document": {"text": documents[at], "multi_modal": None}, "relevance_score": scores[at]}
        for at in (order[:first] if first else order)
    ]
    model = context.model.answering(asked.model)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return JSONResponse({"id": asked.request_id, "model": model, "usage": usage, "results": results})


def _texts(form: Form, name: str) -> list[str]:
    """One text or several; Cohere's clients send documents as objects of a text."""
    if name not in form.body:
        form.missing(name)
        return []
    value = form.body[name]
    texts = []
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) and isinstance(item.get("text"), str):
            texts.append(item["text"])
        elif isinstance(item, dict) and "content" in item:
            raise bad_value("Images and videos are not supported here: send texts", name)
        elif isinstance(item, str):
            texts.append(item)
        else:
            form.wrong("string_type", name, "Input should be a valid string", item)
    return texts


def _require(context: Context, asked: Common, body: dict[str, Any]) -> None:
    pooling.require(context, asked, body)
    for name in UNSUPPORTED:
        if body.get(name):
            raise bad_value(f"{name} is not supported: SGLang cannot cut one side of a pair.", name)
    if body.get("chat_template_kwargs"):
        raise bad_value("chat_template_kwargs is not supported: send instruction", "chat_template_kwargs")


async def _scores(
    context: Context, left: list[str], right: list[str], asked: Common, body: dict[str, Any]
) -> tuple[list[float], int]:
    """A score for each of the right side, and the tokens that it took."""
    kinds = context.model.tasks
    if kinds is not None and Task.EMBED not in kinds:
        return await _by_classifier(context, left, right, body)
    return await _by_vectors(context, left, right, asked)


async def _by_vectors(context: Context, left: list[str], right: list[str], asked: Common) -> tuple[list[float], int]:
    answer = await pooling.embed(context, left + right, asked, "base64")
    return await aside(answer.size, partial(_cosines, answer, len(left))), answer.usage.prompt_tokens


def _cosines(answer: Vectors, count: int) -> list[float]:
    """Of the first so many, or of the only one, with the others."""
    try:
        rows = [_row(vector) for vector in answer.each()]
    except (msgspec.DecodeError, ValueError) as failure:
        raise Refused(error(502, "The engine's answer cannot be read.")) from failure
    first, second = rows[:count], rows[count:]
    scores = []
    for a, b in zip(first * len(second) if len(first) == 1 else first, second, strict=True):
        time.sleep(0)
        length = math.sqrt(a.squared * b.squared)
        scores.append(_product(a.numbers, b.numbers) / length if length else 0.0)
    return scores


def _row(vector: msgspec.Raw) -> _Row:
    numbers = vectors.floats_of(msgspec.json.decode(vector, type=str))
    return _Row(numbers, _product(numbers, numbers))


def _product(a: "array.array[float]", b: "array.array[float]") -> float:
    return float(sum(map(operator.mul, a, b)))


async def _by_classifier(
    context: Context, left: list[str], right: list[str], body: dict[str, Any]
) -> tuple[list[float], int]:
    if len(left) == 1:
        return await _ranked(context, left[0], right, body)
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(query: str, document: str) -> tuple[list[float], int]:
        async with turns:
            return await _ranked(context, query, [document], body)

    parts = await asyncio.gather(*(one(query, document) for query, document in zip(left, right, strict=True)))
    return [scores[0] for scores, _ in parts], sum(count for _, count in parts)


async def _ranked(context: Context, query: str, documents: list[str], body: dict[str, Any]) -> tuple[list[float], int]:
    asked: dict[str, Any] = {"query": query, "documents": documents, "return_documents": False}
    if body.get("instruction"):
        asked["instruct"] = str(body["instruction"])
    status, content = await context.calls.ask("POST", "/v1/rerank", msgspec.json.encode(asked))
    ranked = Calls.read(status, content, list[_Ranked])
    context.metrics.counts.finished.inc("stop", by=len(documents))
    scores = [0.0] * len(documents)
    count = 0
    for item in ranked:
        if 0 <= item.index < len(scores):
            scores[item.index] = item.score
        tokens = (item.meta_info or {}).get("prompt_tokens", 0)
        count += tokens if isinstance(tokens, int) else 0
    return scores, count
