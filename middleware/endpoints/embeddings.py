"""/v1/embeddings, /pooling and /v2/embed: vLLM's requests and answers over SGLang's embeddings.
Called through the table of routes; the vectors themselves are never decoded where numbers or base64 are asked for.
"""

import json
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from middleware import pooling, vectors
from middleware.aside import aside
from middleware.calls import while_connected
from middleware.context import Context
from middleware.errors import bad_request, bad_value
from middleware.form import Form, json_object
from middleware.pooling import Common, Inputs, Vectors
from middleware.vectors import Writing

COHERE_TYPES = ("float", "binary", "ubinary", "base64")
TRUNCATE = ("NONE", "START", "END")

# haproxy takes no larger heads (tune.bufsize), and other proxies much smaller ones.
METADATA_LIMIT = 48 * 1024


async def embeddings(context: Context, request: Request) -> Response:
    return await _answer(context, request, "embd", ("embedding", "embedding"))


async def pooled(context: Context, request: Request) -> Response:
    return await _answer(context, request, "pooling", ("pooling", "data"))


async def _answer(context: Context, request: Request, prefix: str, words: tuple[str, str]) -> Response:
    body = await json_object(request, context.settings.policy)
    context.engine.require_admission()
    form = Form(body)
    asked = pooling.common(context, request, form, prefix)
    wanted = vectors.writing(form)
    chat = isinstance(body.get("messages"), list)
    given = [] if chat else pooling.inputs(form)
    form.done()
    pooling.require(context, asked, body)
    if prefix == "pooling":
        _require_task(body)
    if not vectors.supported(wanted):
        raise bad_value(f"embed_dtype {wanted.dtype} is not supported", "embed_dtype")
    encoding = "float" if wanted.encoding == "float" else "base64"
    answer = await while_connected(request.receive, _vectors(context, body, given, asked, encoding, chat=chat))
    if wanted.encoding in ("bytes", "bytes_only"):
        return await aside(answer.size, partial(_as_bytes, context, asked, answer, wanted))
    return await aside(answer.size, partial(_as_json, context, asked, answer, wanted, words))


def _require_task(body: dict[str, Any]) -> None:
    if body.get("dimensions") is not None:
        raise bad_value("dimensions is currently not supported", "dimensions")
    task = body.get("task")
    if task not in (None, "embed"):
        raise bad_value(f"Unsupported task: {task!r} Supported tasks: ('embed',)", "task")


async def _vectors(
    context: Context, body: dict[str, Any], given: Inputs, asked: Common, encoding: str, *, chat: bool
) -> Vectors:
    if chat:
        given = await pooling.of_chat(context, body)
    return await pooling.embed(context, given, asked, encoding)


def _as_json(context: Context, asked: Common, answer: Vectors, wanted: Writing, words: tuple[str, str]) -> Response:
    word, key = words
    data = [
        msgspec.json.encode({"index": index, "object": word, key: _written(vector, wanted)})
        for index, vector in enumerate(answer.each())
    ]
    whole = pooling.envelope(context, asked, vectors.LIST, answer.usage.prompt_tokens)
    return Response(vectors.filled(whole, [data]), media_type="application/json")


def _written(vector: msgspec.Raw, wanted: Writing) -> msgspec.Raw | str:
    if wanted.encoding == "float" or wanted.as_it_comes:
        return vector
    return wanted.base64(msgspec.json.decode(vector, type=str))


def _as_bytes(context: Context, asked: Common, answer: Vectors, wanted: Writing) -> Response:
    pieces = [wanted.packed(msgspec.json.decode(vector, type=str)) for vector in answer.each()]
    headers = {}
    if wanted.encoding == "bytes":
        whole = pooling.envelope(context, asked, vectors.metadata(pieces, wanted), answer.usage.prompt_tokens)
        counts = {name: whole["usage"][name] for name in ("prompt_tokens", "total_tokens")}
        told = {**{name: whole[name] for name in ("id", "created", "model", "data")}, "usage": counts}
        headers["metadata"] = json.dumps(told)
        if len(headers["metadata"]) > METADATA_LIMIT:
            raise bad_value(
                f"encoding_format bytes tells of {len(pieces)} inputs in a header of {len(headers['metadata'])} bytes, "
                f"and {METADATA_LIMIT} pass: ask for fewer at once, or for bytes_only.",
                "encoding_format",
            )
    return Response(b"".join(pieces), headers=headers, media_type="application/octet-stream")


async def cohere_embed(context: Context, request: Request) -> Response:
    """Cohere's form of the same, of which texts are served."""
    body = await json_object(request, context.settings.policy)
    context.engine.require_admission()
    form = Form(body)
    asked = pooling.common(context, request, form, "embd")
    texts = _texts(form)
    wanted = body.get("embedding_types") or ["float"]
    for at, kind in enumerate(wanted if isinstance(wanted, list) else [wanted]):
        if kind not in COHERE_TYPES:
            form.wrong("literal_error", f"embedding_types.{at}", f"Input should be one of {COHERE_TYPES}", kind)
    truncate = form.choice("truncate", "END", TRUNCATE)
    limit = None if body.get("max_tokens") is None else form.integer("max_tokens", 0)
    asked.dimensions = None if body.get("output_dimension") is None else form.integer("output_dimension", 0)
    form.done()
    pooling.require(context, asked, {})
    if (kind := body.get("input_type")) is not None:
        words = f"Unsupported input_type {kind!r}. This model does not define any input_type task instructions."
        raise bad_request(words)
    if truncate == "NONE" and limit is not None:
        raise bad_value("max_tokens with truncate NONE is not supported", "max_tokens")
    asked.truncate = None if truncate == "NONE" else -1 if limit is None else limit
    asked.side = "left" if truncate == "START" else "right"
    answer = await while_connected(request.receive, pooling.embed(context, list(texts), asked, "base64"))
    return await aside(answer.size, partial(_by_type, asked, answer, texts, list(dict.fromkeys(wanted))))


def _by_type(asked: Common, answer: Vectors, texts: list[str], kinds: list[str]) -> Response:
    lists = [[_cohere(vector, kind) for vector in answer.each()] for kind in kinds]
    whole = {
        "id": asked.request_id,
        "embeddings": dict.fromkeys(kinds, vectors.LIST),
        "texts": texts,
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"input_tokens": answer.usage.prompt_tokens, "image_tokens": 0},
        },
        "response_type": "embeddings_by_type",
    }
    return Response(vectors.filled(whole, lists), media_type="application/json")


def _texts(form: Form) -> list[str]:
    body = form.body
    given = [name for name in ("texts", "images", "inputs") if body.get(name) is not None]
    if len(given) != 1 or not body[given[0]]:
        form.wrong(
            "value_error", "texts", "Value error, Exactly one of texts, images, or inputs must be provided, "
            "and it must be non-empty", body,
        )  # fmt: skip
        return []
    if given != ["texts"]:
        raise bad_value(f"{given[0]} is not supported on /v2/embed: send texts", given[0])
    texts = body["texts"]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        form.wrong("list_type", "texts", "Input should be a valid list", texts)
        return []
    return texts


def _cohere(vector: msgspec.Raw, kind: str) -> bytes:
    """As JSON."""
    written = msgspec.json.decode(vector, type=str)
    if kind == "base64":
        return msgspec.json.encode(written)
    numbers = vectors.floats_of(written)
    if kind == "float":
        return msgspec.json.encode(numbers.tolist())
    if len(numbers) % 8:
        raise bad_request(
            f"Embedding dimension must be a multiple of 8 for binary embedding types, but got {len(numbers)}."
        )
    packed = [
        sum((number >= 0) << (7 - at) for at, number in enumerate(numbers[start : start + 8]))
        for start in range(0, len(numbers), 8)
    ]
    return msgspec.json.encode([byte - 128 for byte in packed] if kind == "binary" else packed)
