"""The proxy that anybody would write first: Starlette and httpx on uvicorn, nothing changed in what goes through.
Run by `bench.contenders` in .venv-bench as `python bench/stock.py PORT UPSTREAM`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

HOP_BY_HOP = ("connection", "content-length", "host", "keep-alive", "transfer-encoding")


def create_app(upstream: str) -> Starlette:
    limits = httpx.Limits(max_connections=None)
    client = httpx.AsyncClient(base_url=upstream, limits=limits, timeout=httpx.Timeout(None))

    async def forward(request: Request) -> StreamingResponse:
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        asked = client.build_request(request.method, request.url.path, headers=headers, content=await request.body())
        answer = await client.send(asked, stream=True)
        kept = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
        closing = BackgroundTask(answer.aclose)
        return StreamingResponse(answer.aiter_raw(), answer.status_code, kept, background=closing)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    return Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])], lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), backlog=4096)
