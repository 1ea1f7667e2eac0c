"""Adapters loaded and unloaded at run time, in vLLM's words, and SageMaker's form of the same.
Called through the table of routes where VLLM_ALLOW_RUNTIME_LORA_UPDATING is set.
"""

import asyncio
import contextlib
import logging
import re
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from middleware import adapter_files
from middleware.adapters import Adapter
from middleware.context import Context
from middleware.dialect.scrub import scrubbed
from middleware.engine import RETRY_SECONDS
from middleware.errors import Refused, error, unavailable
from middleware.form import Form, json_object
from middleware.locate import NotHere

log = logging.getLogger("middleware.adapters")

CHANGE_SECONDS = 600.0  # An adapter may come from the hub.
ASK_SECONDS = 30.0
# SGLang finds out within 4 s that a client has left; before that an unload would hold up every load.
SETTLE_SECONDS = 5.0
LOAD = "/load_lora_adapter"
UNLOAD = "/unload_lora_adapter"
# What SGLang 0.5.23 and the hub's client say where there is no adapter at the path.
_NOTHING_THERE = re.compile(
    r"Repo id must|Repository Not Found|is not a (local folder|valid model identifier)|No such file|does not exist"
    r"|Entry Not Found|couldn't connect|Cannot find|outgoing traffic has been disabled|not found",
    re.IGNORECASE,
)
# A line of a log can be forged with these. vLLM takes them, and SGLang writes a name and a path as they are.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class _Outcome(msgspec.Struct):
    success: bool
    error_message: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    name: str
    path: str
    in_place: bool
    shadows: bool = False  # a name of the model itself may be its name


async def load_adapter(context: Context, request: Request) -> Response:
    form = Form(await json_object(request, context.settings.policy))
    wanted = Wanted(form.text("lora_name"), form.text("lora_path"), form.flag("load_inplace", False))
    form.flag("is_3d_lora_weight", False)
    form.done()
    await load(context, wanted)
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
    await load(context, Wanted(name, path, in_place))
    return _said(f"Adapter {name} registered")


async def unregister_adapter(context: Context, request: Request) -> Response:
    name = request.path_params["adapter_name"]
    await _unload(context, name)
    return _said(f"Adapter {name} unregistered")


async def load(context: Context, wanted: Wanted) -> None:
    model = context.model
    if not wanted.name or not wanted.path:
        raise _input("Both 'lora_name' and 'lora_path' must be provided.")
    if _CONTROL.search(wanted.name) or _CONTROL.search(wanted.path):
        raise _input("'lora_name' and 'lora_path' must not contain control characters.")
    async with model.adapters.change(wanted.name):
        if model.is_base(wanted.name) and not wanted.shadows:
            raise _input(f"The lora adapter '{wanted.name}' conflicts with a served base model.")
        if wanted.name in model.adapters and not wanted.in_place:
            raise _input(
                f"The lora adapter '{wanted.name}' has already been loaded. If you want to load the adapter in place, "
                "set 'load_inplace' to True."
            )
        context.engine.require_alive()
        if why := await asyncio.to_thread(_unfit, context, wanted.path):
            raise _failed(wanted, f"Loading lora {wanted.name} failed: {why}.")
        new = model.adapters.fresh(wanted.name, wanted.path)
        try:
            async with model.adapters.loading:
                await _make_room(context)
                await _put(context, wanted, new)
        except Refused:
            _retire(context, new)  # SGLang may have a part of it, or will have it after all.
            raise
        old = model.adapters.put(wanted.name, new)
        if old is not None:
            _retire(context, old)
        log.info("adapter %r is loaded from %r", wanted.name, wanted.path)


def _unfit(context: Context, path: str) -> str:
    model = ""
    with contextlib.suppress(NotHere):
        model = str(context.model.folder())
    return adapter_files.unfit(path, model)


async def _make_room(context: Context) -> None:
    """With all of --max-loaded-loras taken SGLang unloads the least recently used, and waits for its requests."""
    limit = (await _ask(context, "/server_info")).get("max_loaded_loras")
    if not isinstance(limit, int):
        return
    cards = (await _ask(context, "/v1/models")).get("data") or ()
    # The least recently used comes first. What a name still means is loaded again by SGLang when it is asked for.
    there = [str(card["id"]) for card in cards if isinstance(card, dict) and card.get("parent") is not None]
    if len(there) < limit:
        return
    idle = context.model.adapters.idle(there)
    if idle is None:
        words = f"All {limit} adapters that the engine holds (--max-cpu-loras) have running requests. Please retry."
        raise Refused(unavailable(words, RETRY_SECONDS))
    await _call(context, UNLOAD, {"lora_name": idle.inside})


async def _put(context: Context, wanted: Wanted, new: Adapter) -> None:
    outcome = await _call(context, LOAD, {"lora_name": new.inside, "lora_path": new.path})
    if not outcome.success:
        raise _failed(wanted, (outcome.error_message or "").replace(new.inside, wanted.name))


async def _unload(context: Context, name: str) -> None:
    """As in vLLM the name is gone at once, and who runs on the adapter goes on."""
    if not name:
        raise _input("'lora_name' needs to be provided to unload a LoRA adapter.")
    adapters = context.model.adapters
    async with adapters.change(name):
        if name not in adapters:
            raise Refused(error(404, f"The lora adapter '{name}' cannot be found."))
        context.engine.require_alive()
        _retire(context, adapters.take(name))
        log.info("adapter %r is unloaded", name)


async def unshadow(context: Context) -> None:
    """The model's own name means the model again, whose weights were all replaced."""
    while name := context.model.shadow:
        await _unload(context, name)


def _retire(context: Context, adapter: Adapter) -> None:
    """Out of SGLang, when nobody runs on it any more."""
    adapters = context.model.adapters

    def forget() -> None:
        adapters.keep(asyncio.ensure_future(_forget(context, adapter)))

    adapters.retire(adapter, forget)


async def _forget(context: Context, adapter: Adapter) -> None:
    await asyncio.sleep(SETTLE_SECONDS)
    try:
        outcome = await _call(context, UNLOAD, {"lora_name": adapter.inside})
    except Refused:
        outcome = _Outcome(False, "it did not answer")
    gone = outcome.success or "does not exist" in (outcome.error_message or "")
    if not gone:
        log.warning("SGLang did not unload adapter %r: %s", adapter.inside, outcome.error_message)
    context.model.adapters.retired(adapter, gone=gone)


async def _ask(context: Context, path: str) -> dict[str, Any]:
    """Empty where SGLang does not tell."""
    try:
        answer = await context.control.get(path, timeout=ASK_SECONDS)
        return msgspec.json.decode(answer.content, type=dict[str, Any]) if answer.status_code == 200 else {}
    except (httpx.HTTPError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


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


def _failed(wanted: Wanted, message: str) -> Refused:
    if _NOTHING_THERE.search(message):
        return Refused(error(404, scrubbed(f"Loading lora {wanted.name} failed: No adapter found for {wanted.path}")))
    return Refused(error(500, scrubbed(message) or "The engine did not load the adapter."))


def _said(words: str) -> Response:
    return Response(words)
