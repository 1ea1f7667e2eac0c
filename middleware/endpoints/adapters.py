"""Adapters loaded and unloaded at run time, in vLLM's words, and SageMaker's form of the same.
Called through the table of routes where VLLM_ALLOW_RUNTIME_LORA_UPDATING is set.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from middleware.context import Context
from middleware.dialect.scrub import scrubbed
from middleware.errors import Refused, error
from middleware.form import Form, json_object

log = logging.getLogger("middleware.adapters")

# An adapter may come from the hub; an unload waits for the requests that use it.
CHANGE_SECONDS = 600.0
UNLOAD_SECONDS = 5.0
LOAD = "/load_lora_adapter"
UNLOAD = "/unload_lora_adapter"
# What SGLang 0.5.23 and the hub's client say where there is no adapter at the path.
_NOTHING_THERE = re.compile(
    r"Repo id must|Repository Not Found|is not a (local folder|valid model identifier)|No such file|does not exist"
    r"|Entry Not Found|couldn't connect|Cannot find|outgoing traffic has been disabled|not found",
    re.IGNORECASE,
)
# A name of which SGLang has something left that we do not list: an unload that was cut short, an adapter loaded again.
_LEFT_OVER = re.compile(r"already loaded|incomplete unload")


class _Outcome(msgspec.Struct):
    success: bool
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: str
    path: str
    in_place: bool


async def load_adapter(context: Context, request: Request) -> Response:
    form = Form(await json_object(request, context.settings.policy))
    wanted = _Wanted(form.text("lora_name"), form.text("lora_path"), form.flag("load_inplace", False))
    form.flag("is_3d_lora_weight", False)
    form.done()
    await _load(context, wanted)
    return _said(f"Success: LoRA adapter '{wanted.name}' added successfully.")


async def unload_adapter(context: Context, request: Request) -> Response:
    form = Form(await json_object(request, context.settings.policy))
    name = form.text("lora_name")
    if form.body.get("lora_int_id") is not None:
        form.integer("lora_int_id", 0)
    form.done()
    await _unload(context, name)
    return _said(f"Success: LoRA adapter '{name}' removed successfully.")


async def register_adapter(context: Context, request: Request) -> Response:
    form = Form(await json_object(request, context.settings.policy))
    name, path = form.text("name"), form.text("src")
    in_place = form.flag("load_inplace", False)
    form.done()
    await _load(context, _Wanted(name, path, in_place))
    return _said(f"Adapter {name} registered")


async def unregister_adapter(context: Context, request: Request) -> Response:
    name = request.path_params["adapter_name"]
    await _unload(context, name)
    return _said(f"Adapter {name} unregistered")


async def _load(context: Context, wanted: _Wanted) -> None:
    model = context.model
    if not wanted.name or not wanted.path:
        raise _input("Both 'lora_name' and 'lora_path' must be provided.")
    async with model.adapters.change(wanted.name):
        if model.is_base(wanted.name):
            raise _input(f"The lora adapter '{wanted.name}' conflicts with a served base model.")
        known = wanted.name in model.adapters
        if known and not wanted.in_place:
            raise _input(
                f"The lora adapter '{wanted.name}' has already been loaded. If you want to load the adapter in place, "
                "set 'load_inplace' to True."
            )
        context.engine.require_alive()
        try:
            await _put(context, wanted, known=known)
        except Refused:
            # What was there is gone from the engine: SGLang would load the old one again, in silence.
            model.adapters.remove(wanted.name)
            raise
        model.adapters.add(wanted.name, wanted.path)
        log.info("adapter %s is loaded from %s", wanted.name, wanted.path)


async def _put(context: Context, wanted: _Wanted, *, known: bool) -> None:
    if known:
        await _call(context, UNLOAD, {"lora_name": wanted.name})
    asked = {"lora_name": wanted.name, "lora_path": wanted.path}
    outcome = await _call(context, LOAD, asked)
    if not outcome.success and _LEFT_OVER.search(outcome.error_message or ""):
        await _call(context, UNLOAD, {"lora_name": wanted.name})
        outcome = await _call(context, LOAD, asked)
    if not outcome.success:
        raise _failed(wanted, outcome.error_message or "")


async def _unload(context: Context, name: str) -> None:
    """SGLang waits for the requests that use the adapter, and vLLM does not: nor do we, for long."""
    if not name:
        raise _input("'lora_name' needs to be provided to unload a LoRA adapter.")
    forgetting = asyncio.ensure_future(_forget(context, name))
    context.model.adapters.keep(forgetting)
    await asyncio.wait({forgetting}, timeout=UNLOAD_SECONDS)
    if forgetting.done() or name in context.model.adapters:
        await asyncio.shield(forgetting)


async def _forget(context: Context, name: str) -> None:
    adapters = context.model.adapters
    async with adapters.change(name):
        if name not in adapters:
            raise Refused(error(404, f"The lora adapter '{name}' cannot be found."))
        context.engine.require_alive()
        # First the name, so that no request comes in between: SGLang would load the adapter again for it, in silence.
        adapters.remove(name)
        try:
            outcome = await _call(context, UNLOAD, {"lora_name": name})
        except Refused:
            outcome = _Outcome(False, "it did not answer")
        if not outcome.success:
            # vLLM forgets the name and never fails here. The next load of it clears up.
            log.warning("SGLang did not unload adapter %s: %s", name, outcome.error_message)


async def _call(context: Context, path: str, body: dict[str, Any]) -> _Outcome:
    try:
        answer = await context.control.post(path, json=body, timeout=CHANGE_SECONDS)
    except httpx.HTTPError as failure:
        words = f"The engine did not change its adapters ({type(failure).__name__}). Please retry."
        raise Refused(error(502, words)) from failure
    try:
        return msgspec.json.decode(answer.content, type=_Outcome)
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        words = f"The engine did not change its adapters (status {answer.status_code})."
        raise Refused(error(502, words)) from failure


def _input(message: str) -> Refused:
    return Refused(error(400, message, kind="InvalidUserInput"))


def _failed(wanted: _Wanted, message: str) -> Refused:
    if _NOTHING_THERE.search(message):
        return Refused(error(404, scrubbed(f"Loading lora {wanted.name} failed: No adapter found for {wanted.path}")))
    return Refused(error(500, scrubbed(message) or "The engine did not load the adapter."))


def _said(words: str) -> Response:
    return Response(words)
