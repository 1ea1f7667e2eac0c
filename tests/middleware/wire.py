"""HTTP as bytes, for the tests that write it by hand."""

from __future__ import annotations

import asyncio
from typing import Any

_SAID = [{"role": "user", "content": "Hi"}]
# The least that is a request, by path.
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": _SAID},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"model": "m", "messages": _SAID, "max_tokens": 5},
    "/v1/embeddings": {"input": "Hi"},
    "/generate": {"text": "Hi"},
}

SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def head_of(request: str, *headers: str) -> bytes:
    return "\r\n".join([request, "host: x", *headers, "", ""]).encode()


async def read_body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.split(b":")[1]))
