"""What the stand-in answers to which path, and the faults that a request's headers ask for.
Used by `tests.fakes.sglang`, whose docstring lists them.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.conversation import Conversation, Request
from tests.fakes.recorded import Recorded, recording

GENERATION = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/generate": "generate",
    # Not recorded here: any stream will do to see that it is not held up.
    "/v1/responses": "chat",
}
DEFAULT_TOKENS = 16


@dataclass
class Engine:
    argv: list[str]
    recorded: Recorded
    delay: float
    ready_at: float
    quiet: bool
    stopping: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("requests", "active", "peak_active", "disconnects", "chunks"), 0)
    )

    @property
    def healthy(self) -> bool:
        return not self.stopping and time.monotonic() >= self.ready_at

    def conversation(self) -> Conversation:
        return Conversation(self.handle, self.early, self.gone)

    async def idle(self) -> None:
        """Waits until nothing runs any more."""
        while self.numbers["active"]:
            self.ended.clear()
            await self.ended.wait()

    def gone(self) -> None:
        self.numbers["disconnects"] += 1

    def early(self, request: Request, to: Conversation) -> bool:
        """Whether the request was answered though its body is still to come."""
        if not fault(request).startswith("early"):
            return False
        to.answer(413, b'{"error":{"message":"too large, says the stand-in"}}', close=fault(request) == "early-close")
        self.log(request, to)
        return True

    async def handle(self, request: Request, to: Conversation) -> None:
        numbers = self.numbers
        numbers["requests"] += 1
        numbers["active"] += 1
        numbers["peak_active"] = max(numbers["peak_active"], numbers["active"])
        try:
            await self.answer(request, to)
        finally:
            numbers["active"] -= 1
            self.ended.set()
            self.log(request, to)

    async def answer(self, request: Request, to: Conversation) -> None:
        path = request.path
        name, _, value = fault(request).partition("=")
        if name == "drop":
            to.cut()
        elif name == "slow":
            await asyncio.sleep(float(value))
            to.answer(200, b'{"slow":true}')
        elif name == "status" or path.startswith("/status/"):
            status = int(value or path.rpartition("/")[2])
            body = {"object": "error", "message": f"the stand-in says {status}", "type": "BadRequestError"}
            to.answer(status, json.dumps(body | {"param": None, "code": status}).encode())
        elif name == "gzip":
            to.answer(200, gzip.compress(b'{"packed":true}'), [("content-encoding", "gzip")])
        elif name == "truncate":
            to.answer(200, b'{"half":', close=True, length=100)
        elif name == "echo" or path.startswith("/echo"):
            to.answer(200, self.echo(request), [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-echo", "yes")])
        elif path in GENERATION and request.method in ("POST", "PUT"):
            await self.generate(request, to, GENERATION[path], int(value) if name == "cut-after" else None)
        else:
            self.control(request, to)

    def control(self, request: Request, to: Conversation) -> None:
        path = request.path
        if path in ("/health", "/health_generate", "/ready", "/ping"):
            to.answer(200 if self.healthy else 503, b"", content_type="")
        elif path == "/_stats":
            environ = {name: value for name, value in os.environ.items() if name.startswith(("SGLANG_", "STANDIN_"))}
            to.answer(200, json.dumps({**self.numbers, "argv": self.argv, "environ": environ}).encode())
        elif path == "/_exit":
            sys.stdout.flush()
            os._exit(int(request.target.partition("code=")[2] or 1))
        elif time.monotonic() < self.ready_at:
            to.answer(503, b'{"detail":"loading"}')
        elif path == "/v1/models":
            to.answer(200, self.recorded.models())
        elif path.startswith("/v1/models/"):
            self.replay("model_one_unknown", to)
        elif path == "/metrics":
            running = self.numbers["active"] - 1
            to.answer(
                200,
                self.recorded.metrics(running, self.numbers["chunks"]),
                content_type="text/plain; version=1.0.0; charset=utf-8",
            )
        else:
            self.replay("not_found", to)

    async def generate(self, request: Request, to: Conversation, kind: str, cut_after: int | None) -> None:
        try:
            body = request.json()
        except ValueError:
            self.replay("err_invalid_json", to)
            return
        if not isinstance(body, dict):
            self.replay("err_json_not_object", to)
            return
        tokens = wanted_tokens(body)
        delay = float(request.header("x-standin-delay-ms") or self.delay * 1000) / 1000
        if not body.get("stream"):
            await asyncio.sleep(tokens * delay)
            to.answer(200, self.recorded.whole(kind, body, tokens))
            return
        to.begin_stream()
        for sent, (line, is_token) in enumerate(self.recorded.stream(kind, body, tokens)):
            if cut_after is not None and sent >= cut_after:
                to.cut()
                return
            if is_token and delay:
                await asyncio.sleep(delay)
            await to.chunk(line)
            self.numbers["chunks"] += 1
        to.end_stream()

    def echo(self, request: Request) -> bytes:
        answer: dict[str, Any] = {"method": request.method, "target": request.target, "headers": request.headers}
        answer["body"] = request.body[:4096].decode("utf-8", "replace")
        return json.dumps(answer | {"length": len(request.body)}).encode()

    def replay(self, name: str, to: Conversation) -> None:
        response = recording(name)
        content_type = response["headers"]["content-type"]
        to.answer(response["status"], response["body"].encode(), content_type=content_type)

    def log(self, request: Request, to: Conversation) -> None:
        if not self.quiet:
            peer = ":".join(str(part) for part in (to.peer or ("?", "?"))[:2])
            line = f'INFO:     {peer} - "{request.method} {request.target} HTTP/1.1" {to.status or "cut"}'
            print(time.strftime("[%Y-%m-%d %H:%M:%S]"), line, flush=True)


def fault(request: Request) -> str:
    return request.header("x-standin")


def wanted_tokens(body: dict[str, Any]) -> int:
    sampling = body.get("sampling_params") or {}
    asked = body.get("max_completion_tokens") or body.get("max_tokens") or sampling.get("max_new_tokens")
    return asked if isinstance(asked, int) else DEFAULT_TOKENS
