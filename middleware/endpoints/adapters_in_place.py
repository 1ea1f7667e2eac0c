"""/load_lora_adapter, as prime-rl adds it to vLLM: each step's adapter under one name, which may be the model's own.
Called through the table of routes under VLLM_SHIM_RL, and by `endpoints.weights` for a folder that holds an adapter.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.endpoints.adapters import Wanted, load
from middleware.errors import Refused, error
from middleware.form import Form, json_object
from middleware.weights.files import Unfit, folder

# What prime-rl does not try again here, though it passes: it tries 404 and 500.
_PASSING = frozenset({502, 503, 504})


async def load_adapter_in_place(context: Context, request: Request) -> Response:
    form = Form(await json_object(request, context.settings.policy))
    name, path = form.text("lora_name"), form.text("lora_path")
    form.done()
    await put_in_place(context, name, path)
    return JSONResponse({"status": "ok"})


async def put_in_place(context: Context, name: str, path: str) -> None:
    """The one before goes when its last request has ended. Named as the model, it is what requests for that run on."""
    try:
        await _together(context, name, path)
    except Refused as refused:
        if refused.response.status_code not in _PASSING:
            raise
        words = (
            "The adapter was not loaded: the engine is not there, or has no room until a request ends. Please retry."
        )
        raise Refused(error(500, words), refused.rule) from refused


async def _together(context: Context, name: str, path: str) -> None:
    """Who asks again for what is being loaded has lost its answer, and gets that one: prime-rl waits 30 s for each."""
    loading = context.model.adapters.in_place
    task = loading.get((name, path))
    if task is None:
        task = loading[name, path] = asyncio.ensure_future(
            load(context, Wanted(name, path, in_place=True, shadows=True))
        )
        task.add_done_callback(lambda done: _done(context, (name, path), done))
    await asyncio.shield(task)
    if context.model.is_base(name):
        context.weights.pause.has_weights()


def _done(context: Context, key: tuple[str, str], task: "asyncio.Future[None]") -> None:
    context.model.adapters.in_place.pop(key, None)
    if not task.cancelled():
        task.exception()  # Seen, though the client may have left.


def is_adapter(place: str) -> bool:
    """A folder that cannot be looked into is refused by who loads weights."""
    try:
        return (folder(place) / "adapter_config.json").is_file()
    except (Unfit, OSError):
        return False
