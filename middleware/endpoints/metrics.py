"""/metrics: vLLM's series, ours and SGLang's own, in the text format; always 200, with what is known.
Called through the table of routes; scrapers have no key and give up after a few seconds.
"""

from starlette.requests import Request
from starlette.responses import Response

from middleware.context import Context
from middleware.metrics.exposition import CONTENT_TYPE


async def metrics(context: Context, request: Request) -> Response:
    return Response(await context.metrics.page(), headers={"content-type": CONTENT_TYPE})
