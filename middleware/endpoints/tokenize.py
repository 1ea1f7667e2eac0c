"""/tokenize, /detokenize and /tokenizer_info: vLLM's requests and answers over SGLang's tokenizer.
Called through the table of routes; what SGLang has no route for is read from the model's files.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware import ids, model_files, tokens
from middleware.aside import aside
from middleware.calls import while_connected
from middleware.context import Context
from middleware.errors import Refused, bad_request, error
from middleware.form import Form, json_object
from middleware.locate import NotHere
from middleware.model import Model

# Of a token id in an answer.
BYTES = 6


class _Text(msgspec.Struct):
    text: str


async def tokenize(context: Context, request: Request) -> Response:
    body = await json_object(request, context.settings.policy)
    context.engine.require_admission()
    form = Form(body)
    chat = isinstance(body.get("messages"), list)
    text = body.get("prompt")
    if not chat and not isinstance(text, str):
        _neither(form)
    special = form.flag("add_special_tokens", not chat)
    generation = form.flag("add_generation_prompt", True)
    continued = form.flag("continue_final_message", False)
    strings = form.flag("return_token_strs", False, null=True)
    name = form.optional_text("model")
    form.done()
    context.model.require(name)
    if chat:
        work = tokens.of_chat(context, body, generation=generation and not continued, special=special)
    else:
        work = tokens.of_text(context.calls, str(text), special=special)
    numbers = await while_connected(request.receive, work)
    words = await _words(context) if strings else None
    return await aside(len(numbers) * BYTES, partial(_told, numbers, words, context.model.context_length))


def _neither(form: Form) -> None:
    """Both forms of the request are told why it is not them."""
    form.text("prompt")
    if "messages" in form.body:
        form.wrong("list_type", "messages", "Input should be a valid list", form.body["messages"])
    else:
        form.missing("messages")


async def _words(context: Context) -> Mapping[int, str]:
    try:
        return await asyncio.to_thread(context.model.words)
    except NotHere as failure:
        raise Refused(error(501, f"return_token_strs is not available: {failure}")) from failure


def _told(numbers: list[int], words: Mapping[int, str] | None, limit: int | None) -> Response:
    strings = None if words is None else ids.written([words.get(number, "") for number in numbers])
    told = {
        "count": len(numbers),
        "max_model_len": limit,
        "tokens": ids.written(numbers),
        "token_strs": strings,
    }
    return Response(msgspec.json.encode(told), media_type="application/json")


async def detokenize(context: Context, request: Request) -> Response:
    body = await json_object(request, context.settings.policy)
    context.engine.require_admission()
    form = Form(body)
    given = await asyncio.to_thread(ids.read, form, "tokens", natural=True)
    name = form.optional_text("model")
    form.done()
    context.model.require(name)
    work = context.calls.value("/detokenize", await asyncio.to_thread(_to_text, given), _Text)
    answer = await while_connected(request.receive, work)
    return Response(msgspec.json.encode({"prompt": answer.text}), media_type="application/json")


def _to_text(given: list[int]) -> dict[str, Any]:
    if not ids.plain(given):
        raise bad_request("out of range integral type conversion attempted")
    return {"tokens": ids.written(given), "skip_special_tokens": False}


async def tokenizer_info(context: Context, request: Request) -> Response:
    try:
        return JSONResponse(await asyncio.to_thread(_info, context.model))
    except NotHere as failure:
        return error(501, f"The tokenizer's settings are not available: {failure}")


def _info(model: Model) -> dict[str, Any]:
    """The tokenizer's settings as vLLM tells them: no paths, and special tokens as plain text."""
    folder = model.tokenizer_folder()
    settings = model_files.read_json(folder, "tokenizer_config.json")
    info = {name: _plain(value) for name, value in settings.items() if name not in ("vocab_file", "merges_file")}
    info.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
    if "chat_template" not in info and (template := model_files.read_text(folder, "chat_template.jinja")):
        info["chat_template"] = template
    return info


def _plain(value: Any) -> Any:
    return value["content"] if isinstance(value, dict) and value.get("__type") == "AddedToken" else value
