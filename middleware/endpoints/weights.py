"""Weights that change while the server runs, in the words of vLLM and of prime-rl: updates, their version, their sums.
Called through the table of routes under VLLM_SHIM_RL and VLLM_SERVER_DEV_MODE; `middleware.weights` does it.
"""

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.calls import refused
from middleware.context import Context
from middleware.endpoints.adapters import unshadow
from middleware.endpoints.adapters_in_place import is_adapter, put_in_place
from middleware.errors import Refused, bad_request, error
from middleware.form import Form, json_object
from middleware.weights.transfer import DISK, TRL

WHERE = '"weight_dir", a folder in this container (prime-rl)'
NATIVE = '"update_info" (vLLM\'s own weight transfer, TRL)'
CHECK = "/weights_checker"


async def update_weights(context: Context, request: Request) -> Response:
    """prime-rl's body names a folder, vLLM's own what comes by NCCL; nothing else tells them apart."""
    form = Form(await json_object(request, context.settings.policy))
    by_folder, by_wire = "weight_dir" in form.body, "update_info" in form.body
    if by_folder and by_wire:
        raise bad_request(f"Give one of {WHERE} and {NATIVE}, not both.")
    if by_wire:
        raise context.weights.transfers.nothing_came(TRL)
    if not by_folder:
        form.missing("update_info")
        form.done()
    if form.body["weight_dir"] is None:
        raise context.weights.transfers.nothing_came(DISK)
    place = form.text("weight_dir")
    form.done()
    if context.settings.policy.max_loras and await asyncio.to_thread(is_adapter, place):
        await put_in_place(context, context.model.names[0], place)
    else:
        await context.weights.updates.load(place)
        await unshadow(context)
    return JSONResponse({"status": "ok"})


async def reload_weights(context: Context, request: Request) -> Response:
    """Those of the start."""
    await context.weights.updates.reload()
    await unshadow(context)
    return JSONResponse({"status": "ok"})


async def update_weight_version(context: Context, request: Request) -> Response:
    form = Form(await json_object(request, context.settings.policy))
    version = form.text("new_version")
    form.done()
    context.engine.require_alive()
    body = msgspec.json.encode({"new_version": version, "abort_all_requests": False})
    status, content = await context.calls.ask("POST", "/update_weight_version", body)
    if status != 200:
        raise refused(status, content)
    context.weights.updates.versioned(version)
    return JSONResponse({"success": True, "new_version": version})


class _Info(msgspec.Struct):
    weight_version: str = "default"


async def weight_info(context: Context, request: Request) -> Response:
    context.engine.require_alive()
    info = context.calls.read(*await context.calls.ask("GET", "/model_info"), _Info)
    return JSONResponse({"weight_version": info.weight_version})


class _Placement(msgspec.Struct):
    role: str = "target"
    tp_rank: int = 0
    dp_rank: int = 0
    pp_rank: int = 0


class _Rank(msgspec.Struct):
    checksums: dict[str, str]
    parallelism_info: list[_Placement] | _Placement


class _Checked(msgspec.Struct):
    success: bool
    message: str = ""
    ranks: list[_Rank] = []


async def weight_checker(context: Context, request: Request) -> Response:
    """SGLang's sums, under vLLM's names of the ranks; the two make them otherwise, and from other layouts."""
    form = Form(await json_object(request, context.settings.policy))
    if "action" not in form.body:
        form.missing("action")
    action = form.choice("action", "checksum", ("checksum", "reset", "compare"))
    form.done()
    if action == "reset":
        await _checked(context, "reset_tensors")
        return JSONResponse({"status": "reset"})
    baseline = form.body.get("baseline")
    if action == "compare" and not isinstance(baseline, dict):
        raise bad_request("action='compare' requires a 'baseline' object")
    sums = _sums(await _checked(context, "checksum"))
    if action == "checksum":
        return JSONResponse({"checksums": sums})
    assert isinstance(baseline, dict)
    mismatches = sorted(key for key in sums.keys() | baseline.keys() if sums.get(key) != baseline.get(key))
    return JSONResponse({"match": not mismatches, "mismatches": mismatches})


async def _checked(context: Context, action: str) -> _Checked:
    context.engine.require_alive()
    status, content = await context.calls.ask("POST", CHECK, msgspec.json.encode({"action": action}))
    if status != 200:
        raise refused(status, content)
    found = context.calls.read(status, content, _Checked)
    if not found.success:
        raise Refused(error(500, "The engine did not check its weights."))
    return found


def _sums(found: _Checked) -> dict[str, Any]:
    sums: dict[str, Any] = {}
    for rank in found.ranks:
        told = rank.parallelism_info
        place = next(iter(told), _Placement()) if isinstance(told, list) else told
        at = f"dp{place.dp_rank}:pp{place.pp_rank}:pcp0:tp{place.tp_rank}"
        sums |= {f"{at}:{name}": value for name, value in rank.checksums.items()}
    return sums
