"""/v1/models: SGLang's cards, and one more for each further name that the model is served under.
Called through the table of routes.
"""

from typing import Any

import httpx
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from middleware.context import Context
from middleware.errors import error

MODELS_SECONDS = 5.0


class _Listing(msgspec.Struct):
    data: list[dict[str, Any]]
    object: str = "list"


async def models(context: Context, request: Request) -> Response:
    refusal = None if context.engine.alive else context.engine.refusal()
    if refusal is not None:
        return refusal
    try:
        answer = await context.control.get("/v1/models", timeout=MODELS_SECONDS)
    except httpx.HTTPError as exc:
        return error(502, f"The engine did not say which models it serves ({type(exc).__name__}).")
    try:
        listing = msgspec.json.decode(answer.content, type=_Listing)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return error(502, f"The engine did not say which models it serves (status {answer.status_code}).")
    cards = with_further_names(listing.data, context.settings.served_model_names)
    return JSONResponse({"object": listing.object, "data": cards})


def with_further_names(cards: list[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """SGLang takes one served name and vLLM several, so the others get a copy of the model's card."""
    base = next((card for card in cards if card.get("parent") is None), None)
    if base is None:
        return cards
    known = {card.get("id") for card in cards}
    further = [{**base, "id": name} for name in dict.fromkeys(names) if name not in known]
    at = cards.index(base) + 1
    return [*cards[:at], *further, *cards[at:]]
