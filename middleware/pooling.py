"""One request to an embedding model: vLLM's inputs become SGLang's, its vectors come back.
Called by the endpoints of embeddings, pooling and scores.
"""

import re
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request

from middleware import calls, tokens
from middleware.calls import Calls
from middleware.context import Context
from middleware.dialect.errors import message_of
from middleware.errors import Refused, bad_request, bad_value, error
from middleware.fields.told import Told
from middleware.form import Form
from middleware.headers import header
from middleware.preparation.cut import Cut

Inputs = list[str] | list[list[int]]
_NO_DIMENSIONS = re.compile(r"matryoshka", re.IGNORECASE)


class Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Vector(msgspec.Struct):
    embedding: msgspec.Raw


class Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: Usage

    @property
    def size(self) -> int:
        return sum(len(item.embedding) for item in self.data)

    def each(self) -> Iterator[msgspec.Raw]:
        """For a thread, with room for others before each: to read and write a vector may take two milliseconds."""
        for item in self.data:
            time.sleep(0)
            yield item.embedding


@dataclass(slots=True)
class Common:
    """What every request to a pooling route may carry, beside its input."""

    model: str | None
    request_id: str
    dimensions: int | None = None
    truncate: int | None = None
    side: str = "right"
    special: bool = True


def common(context: Context, request: Request, form: Form, prefix: str) -> Common:
    """Read and checked; the caller still has to say `form.done()` and `require`."""
    body = form.body
    if "normalize" in body:
        raise bad_value("Parameter `normalize` was removed; use `use_activation` instead.", "normalize")
    name = form.optional_text("model")
    given = header(request.scope["headers"], b"x-request-id")
    chosen = form.text("request_id") if "request_id" in body else uuid.uuid4().hex[:16]
    truncate = (
        None if body.get("truncate_prompt_tokens") is None else form.integer("truncate_prompt_tokens", 0, least=-1)
    )
    dimensions = None if body.get("dimensions") is None else form.integer("dimensions", 0)
    side = (
        "right" if body.get("truncation_side") is None else form.choice("truncation_side", "right", ("left", "right"))
    )
    request_id = f"{prefix}-{chosen if given is None else given.decode('latin-1')}"
    return Common(name, request_id, dimensions, truncate, side, form.flag("add_special_tokens", True))


def require(context: Context, asked: Common, body: dict[str, Any]) -> None:
    """What is well formed and still cannot be served."""
    if not context.model.knows(asked.model):
        raise Refused(error(404, f"The model `{asked.model}` does not exist."))
    if asked.truncate is not None and asked.truncate > (context.model.context_length or asked.truncate):
        raise bad_request(
            "truncate_prompt_tokens value is greater than max_model_len. Please request a smaller truncation size."
        )
    if body.get("use_activation") is False:
        raise bad_value("use_activation false is not supported: SGLang normalizes as the model says.", "use_activation")
    if body.get("padding") not in (None, "do_not_pad"):
        raise bad_value("padding is not supported: SGLang does not pad prompts.", "padding")


def inputs(form: Form, name: str = "input") -> Inputs:
    """One text, several, the ids of one, or of several."""
    if name not in form.body:
        form.missing(name)
        return []
    value = form.body[name]
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            if not value:
                raise bad_request("You must pass at least one prompt")
            return value
        if all(type(item) is int for item in value):
            return [value]
        if all(isinstance(item, list) and all(type(number) is int for number in item) for item in value):
            return value
    form.wrong("list_type", name, "Input should be a valid list", value)
    form.wrong("string_type", name, "Input should be a valid string", value)
    return []


async def of_chat(context: Context, body: dict[str, Any]) -> Inputs:
    """A chat as one input: without special tokens and a turn for the model, unless it asks for them."""
    special = body.get("add_special_tokens") is True
    generation = body.get("add_generation_prompt") is True
    return [await tokens.of_chat(context, body, generation=generation, special=special)]


async def prepared(context: Context, given: Inputs, asked: Common) -> Inputs:
    """SGLang takes no blank text, and has no way to leave special tokens out or to cut a prompt: those go as ids."""
    texts = [item for item in given if isinstance(item, str)]
    ids = [item for item in given if isinstance(item, list)]
    if texts:
        if asked.special and asked.truncate is None and all(text.strip() for text in texts):
            return texts
        ids = await tokens.of_texts(context.calls, texts, special=asked.special)
    limit = asked.truncate if asked.truncate != -1 else context.model.context_length
    if asked.truncate is not None and limit is not None:
        ids = [Cut(limit, asked.side)(item) for item in ids]
    for item in ids:
        if not item:
            raise bad_request("The decoder prompt cannot be empty")
        tokens.require_in_vocabulary(context, item)
    return ids


async def embed(context: Context, given: Inputs, asked: Common, encoding: str) -> Vectors:
    """The vectors of the inputs, in their order; `encoding` is float or base64."""
    body: dict[str, Any] = {"input": await prepared(context, given, asked), "encoding_format": encoding}
    if asked.dimensions is not None:
        body["dimensions"] = asked.dimensions
    if (adapter := context.model.adapter(asked.model)) is not None:
        body["lora_path"] = adapter
    status, content = await context.calls.ask("POST", "/v1/embeddings", msgspec.json.encode(body))
    if status != 200:
        raise refused(context, status, content, asked)
    context.metrics.counts.finished.inc("stop", by=len(given))
    return Calls.read(status, content, Vectors)


def refused(context: Context, status: int, content: bytes, asked: Common) -> Refused:
    """SGLang's objection in vLLM's words."""
    name = context.model.answering(asked.model)
    if status == 400 and _NO_DIMENSIONS.search(message_of(content)):
        return bad_request(
            f"Model '{name}' does not support Matryoshka embeddings; "
            f"dimensions must be unset (received dimensions={asked.dimensions})."
        )
    return calls.refused(status, content, Told(model=name))


def too_long(length: int) -> Refused:
    more = length + 1
    return bad_value(
        f"This model's maximum context length is {length} tokens. However, your prompt contains at least {more} input "
        "tokens, which exceeds this limit even without any output tokens. "
        "Please reduce the length of the input prompt.",
        "input_tokens",
        more,
    )


def usage(prompt_tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }


def envelope(
    context: Context, asked: Common, data: Sequence[object] | msgspec.Raw, prompt_tokens: int
) -> dict[str, Any]:
    """The answer of every pooling route but rerank."""
    return {
        "id": asked.request_id,
        "object": "list",
        "created": int(time.time()),
        "model": context.model.answering(asked.model),
        "data": data,
        "usage": usage(prompt_tokens),
    }
