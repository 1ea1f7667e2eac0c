"""/server_info: vLLM's development route with what SGLang says of itself, and SGLang's own; never a key.
Called through the table of routes: the one under VLLM_SERVER_DEV_MODE, the other where the operator opened it.
"""

import os
import platform
import sys
from typing import Any

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.errors import Refused, error
from middleware.query import Query
from middleware.secrecy import REDACTED, hidden

INFO_SECONDS = 10.0

# vLLM's parts of a configuration, and what SGLang calls the same.
PARTS: dict[str, dict[str, str]] = {
    "model_config": {
        "model": "model_path",
        "tokenizer": "tokenizer_path",
        "tokenizer_mode": "tokenizer_mode",
        "trust_remote_code": "trust_remote_code",
        "dtype": "dtype",
        "seed": "random_seed",
        "revision": "revision",
        "max_model_len": "context_length",
        "quantization": "quantization",
        "served_model_name": "served_model_name",
        "skip_tokenizer_init": "skip_tokenizer_init",
    },
    "cache_config": {"block_size": "page_size", "cache_dtype": "kv_cache_dtype"},
    "parallel_config": {
        "tensor_parallel_size": "tp_size",
        "pipeline_parallel_size": "pp_size",
        "data_parallel_size": "dp_size",
        "nnodes": "nnodes",
        "node_rank": "node_rank",
    },
    "scheduler_config": {"max_num_seqs": "max_running_requests", "max_num_batched_tokens": "chunked_prefill_size"},
    "load_config": {"load_format": "load_format", "download_dir": "download_dir"},
    "lora_config": {"max_lora_rank": "max_lora_rank", "max_loras": "max_loras_per_batch"},
}


async def server_info(context: Context, request: Request) -> Response:
    query = Query(request)
    form = query.choice("config_format", "text", ("text", "json"))
    query.done()
    told = await _told(context)
    config: dict[str, Any] = {
        part: {ours: told.get(theirs) for ours, theirs in names.items()} for part, names in PARTS.items()
    }
    if context.model.context_length is not None:
        config["model_config"]["max_model_len"] = context.model.context_length
    config["model_config"]["model"] = context.model.path
    # None: TRL asks for it first, and stops with a sentence where it would wait for ever for NCCL.
    config["weight_transfer_config"] = None
    text = ", ".join(f"{name}={value!r}" for part in PARTS for name, value in config[part].items())
    return JSONResponse(
        {
            "vllm_config": config if form == "json" else text,
            "vllm_env": redact(_environment(), frozenset(context.settings.api_keys)),
            "system_env": {
                "os": platform.platform(),
                "python_version": sys.version,
                "cpu_info": platform.processor(),
                "sglang_version": told.get("version"),
            },
        }
    )


def _environment() -> dict[str, str]:
    """vLLM's variables, and not ours."""
    ours = ("VLLM_SHIM_",)
    names = sorted(n for n in os.environ if n.startswith("VLLM_") and not n.startswith(ours) and "KEY" not in n)
    return {name: os.environ[name] for name in names}


async def sglang_server_info(context: Context, request: Request) -> Response:
    return JSONResponse(await _told(context))


async def get_world_size(context: Context, request: Request) -> Response:
    query = Query(request)
    with_dp = query.flag("include_dp", True)
    query.done()
    return JSONResponse({"world_size": await world_size(context, with_dp=with_dp)})


async def world_size(context: Context, *, with_dp: bool = True) -> int:
    told = await _told(context)
    return _count(told, "tp_size") * _count(told, "pp_size") * (_count(told, "dp_size") if with_dp else 1)


def _count(told: dict[str, Any], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) and value > 0 else 1


async def _told(context: Context) -> dict[str, Any]:
    context.engine.require_alive()
    try:
        answer = await context.control.get("/server_info", timeout=INFO_SECONDS)
        told = msgspec.json.decode(answer.content, type=dict[str, Any])
    except (httpx.HTTPError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise Refused(error(502, f"The engine did not tell about itself ({type(failure).__name__}).")) from failure
    if answer.status_code != 200:
        raise Refused(error(502, f"The engine did not tell about itself (status {answer.status_code})."))
    keys = frozenset(context.settings.api_keys)
    redacted: dict[str, Any] = redact(told, keys)
    return redacted


def redact(value: Any, keys: frozenset[str] = frozenset()) -> Any:
    """What sounds secret, the users of URLs, and our own keys whatever their name is."""
    return _without(hidden(value), keys)


def _without(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(item, keys) for name, item in value.items()}
    if isinstance(value, list):
        return [_without(item, keys) for item in value]
    return REDACTED if isinstance(value, str) and any(key in value for key in keys) else value
