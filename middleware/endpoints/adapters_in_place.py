"""/load_lora_adapter, as prime-rl adds it to vLLM: each step's adapter under one name, which may be the model's own.
Called through the table of routes under VLLM_SHIM_RL, and by `endpoints.weights` for a folder that holds an adapter.
"""

from functools import partial

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
        wanted = Wanted(name, path, in_place=True, shadows=True)
        await context.model.adapters.in_place((name, path), partial(load, context, wanted))
    except Refused as refused:
        if refused.response.status_code not in _PASSING:
            raise
        words = (
            "The adapter was not loaded: the engine is not there, or has no room until a request ends. Please retry."
        )
        raise Refused(error(500, words), refused.rule) from refused
    if context.model.is_base(name):
        context.weights.pause.has_weights()


def is_adapter(place: str) -> bool:
    """A folder that cannot be looked into is refused by who loads weights."""
    try:
        return (folder(place) / "adapter_config.json").is_file()
    except (Unfit, OSError):
        return False
