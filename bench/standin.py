#!/usr/bin/env python3
"""An SGLang without a model that is never the bottleneck: raw asyncio and httptools, one write for each chunk.

    python bench/standin.py --port N [--served-model-name NAME] [--core 0] [any SGLang flag]

A chat with `"stream": true` gets its first token at once, as if the prefill took no time, and then one with each step
of a clock that all streams of one pace share, as in an engine that decodes a batch. The pace stands in the prompt,
because not every router hands on headers: "a token every 20 ms". Without one all tokens come as fast as they are
taken, many in a write. A reader that is too slow gets the rest later. GET /_ranks/8 makes /metrics that of an engine
with eight data-parallel ranks.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import cast

import httptools
import uvloop

# This file is run by its path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.engine import COMMON, Engine, plain
from bench.recorded import Recorded, Stream, framed

BACKLOG = 4096
DEFAULT_TOKENS = 16
POURED = 200  # tokens a write, without a pace
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\n" + COMMON + b"content-type: text/event-stream; charset=utf-8\r\nvary: Origin\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
LAST = framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
STREAMS = re.compile(rb'"stream"\s*:\s*true')
MAX_TOKENS = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d+)')
PACE = re.compile(rb"a token every ([\d.]+) ms")
WHOLE = {b"/v1/chat/completions": "chat", b"/v1/completions": "completions", b"/generate": "rollout"}


class Conversation(asyncio.Protocol):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []
        self._stream: Stream | None = None
        self._left = self._token = 0
        self._usage = self._paused = False
        self._paced = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stream = None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.write(plain(b"", status=b"400 Bad Request"))
            self._transport.close()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if not self._paced:
            self._pour()

    def on_message_begin(self) -> None:
        self._url = b""
        self._body = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        kind = WHOLE.get(self._url)
        if kind is None:
            self._transport.write(self._engine.control(self._url.decode("latin-1")))
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        rid = self._rid(body)
        if kind == "chat" and STREAMS.search(body):
            self._begin(body, rid)
        else:
            self._transport.write(plain(self._engine.recorded.answer(kind, rid)))

    def _rid(self, body: bytes) -> bytes:
        start = body.rfind(b'"rid"')
        if start < 0:
            return self._engine.fresh_rid()
        opening = body.index(b'"', start + 5) + 1
        return body[opening : body.index(b'"', opening)]

    def _begin(self, body: bytes, rid: bytes) -> None:
        wanted, pace = MAX_TOKENS.search(body), PACE.search(body)
        self._left = int(wanted[1]) if wanted else DEFAULT_TOKENS
        self._token = 0
        self._usage = b"include_usage" in body
        self._stream = self._engine.recorded.stream(rid)
        # The first event waits for the first token, and SGLang's head for the first event.
        self._transport.write(STREAM_HEAD + self._stream.role)
        self._paced = pace is not None
        if pace is None:
            self._pour()
        elif self.step():
            self._engine.clock(float(pace[1]) / 1000).add(self)

    def _pour(self) -> None:
        stream = self._stream
        while stream is not None and not self._paused and self._left > POURED:
            self._transport.write(b"".join(itertools.islice(itertools.cycle(stream.tokens), POURED)))
            self._left -= POURED
        while not self._paused and self.step():
            pass

    def step(self) -> bool:
        """One token; whether there are more to come."""
        stream = self._stream
        if stream is None:
            return False
        if self._paused:
            return True
        tokens = stream.tokens
        self._transport.write(tokens[self._token % len(tokens)])
        self._token += 1
        self._left -= 1
        if self._left:
            return True
        self._transport.write(stream.end + (stream.usage if self._usage else b"") + LAST)
        self._stream = None
        return False


async def serve(host: str, port: int, engine: Engine) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Conversation(engine), host, port, backlog=BACKLOG)
    print("The server is fired up and ready to roll!", flush=True)
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", default="bench")
    parser.add_argument("--model-path", default="")
    parser.add_argument("--core", type=int)
    options, _ = parser.parse_known_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    engine = Engine(Recorded(options.served_model_name, options.model_path))
    uvloop.run(serve(options.host, options.port, engine))


if __name__ == "__main__":
    main()
