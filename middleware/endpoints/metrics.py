"""/metrics: SGLang's own text for now, and an empty page rather than an error while there is none.
Called through the table of routes; scrapers have no key and give up after a few seconds.
"""

import httpx
from starlette.requests import Request
from starlette.responses import Response

from middleware.context import Context

SCRAPE_SECONDS = 2.0
EMPTY_TYPE = "text/plain; version=0.0.4"


async def metrics(context: Context, request: Request) -> Response:
    if context.engine.alive:
        try:
            scrape = await context.control.get("/metrics", timeout=SCRAPE_SECONDS)
        except httpx.HTTPError:
            return _empty()
        if scrape.status_code == 200:
            return Response(scrape.content, headers={"content-type": scrape.headers.get("content-type", EMPTY_TYPE)})
    return _empty()


def _empty() -> Response:
    return Response(headers={"content-type": EMPTY_TYPE})
