"""/v1/models: one card for each name of the model and one for each adapter, as vLLM's.
Called through the table of routes; what they say was learned when the engine became ready.
"""

import time
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.model import Model


async def models(context: Context, request: Request) -> Response:
    context.engine.require_alive()
    return JSONResponse({"object": "list", "data": cards(context.model)})


def cards(model: Model) -> list[dict[str, Any]]:
    found = [card(name, root=model.path, length=model.context_length) for name in model.names]
    parent = model.names[0] if model.names else None
    # A trainer's adapter under the model's own name is no second model.
    others = (name for name in model.adapters if not model.is_base(name))
    found += [card(name, root=model.adapters[name], parent=parent) for name in others]
    return found


def card(name: str, *, root: str | None, parent: str | None = None, length: int | None = None) -> dict[str, Any]:
    created = int(time.time())
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "vllm",
        "root": root,
        "parent": parent,
        "max_model_len": length,
        "permission": [
            {
                "id": f"modelperm-{uuid.uuid4().hex[:16]}",
                "object": "model_permission",
                "created": created,
                "allow_create_engine": False,
                "allow_sampling": True,
                "allow_logprobs": True,
                "allow_search_indices": False,
                "allow_view": True,
                "allow_fine_tuning": False,
                "organization": "*",
                "group": None,
                "is_blocking": False,
            }
        ],
    }
