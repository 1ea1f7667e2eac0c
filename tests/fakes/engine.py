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
from tests.fakes.occupation import Occupation
from tests.fakes.orders import FLUSHED, NOT_FLUSHED, Abort
from tests.fakes.recorded import Recorded, recording
from tests.fakes.training import Training
from tests.fakes.trouble import BEFORE, Trouble, instead, marked, marked_whole

GENERATION = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/generate": "generate",
    # Not recorded here: any stream will do to see that it is not held up.
    "/v1/responses": "chat",
}
DEFAULT_TOKENS = 16
COUNTED = ("requests", "active", "peak_active", "disconnects", "chunks", "generating")


@dataclass
class Engine:
    argv: list[str]
    recorded: Recorded
    delay: float
    ready_at: float
    quiet: bool
    stopping: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    abort: Abort = field(default_factory=Abort)
    training: Training = field(default_factory=Training)
    occupation: Occupation = field(default_factory=Occupation)
    numbers: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))

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
        elif name in BEFORE:
            instead(name, to)
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
            await self.training.open.wait()
            self.numbers["generating"] += 1
            try:
                await self.generate(request, to, GENERATION[path], Trouble(name, value))
            finally:
                self.numbers["generating"] -= 1
        elif path in self.occupation.paths and request.method == "POST":
            self.occupation.order(request, to, 0 if self.training.mode == "retract" else self.numbers["generating"])
        elif path in self.training.paths and request.method == "POST":
            await self.training.order(request, to, self)
        else:
            self.control(request, to)

    def control(self, request: Request, to: Conversation) -> None:
        path = request.path
        if path == "/ready" and self.training.is_paused:
            to.answer(503, b"", content_type="")
        elif path in ("/health", "/health_generate", "/ready", "/ping"):
            to.answer(200 if self.healthy else 503, b"", content_type="")
        elif path == "/_stats":
            environ = {name: value for name, value in os.environ.items() if name.startswith(("SGLANG_", "STANDIN_"))}
            to.answer(
                200,
                json.dumps(
                    {**self.numbers, "argv": self.argv, "environ": environ, "orders": self.training.orders}
                ).encode(),
            )
        elif path == "/_exit":
            sys.stdout.flush()
            os._exit(int(request.target.partition("code=")[2] or 1))
        elif time.monotonic() < self.ready_at:
            to.answer(503, b'{"detail":"loading"}')
        elif path == "/v1/models":
            to.answer(200, self.training.models(self.recorded.models()))
        elif path in ("/model_info", "/v1/loads", "/server_info"):
            to.answer(200, self.training.told(path, self.numbers["generating"]))
        elif path.startswith("/v1/models/"):
            self.replay("model_one_unknown", to)
        elif path == "/abort_request" and request.method == "POST":
            if request.json().get("abort_all"):
                self.abort.give()
                self.abort = Abort()
            to.answer(200, b"", content_type="")
        elif path == "/flush_cache":
            idle = self.numbers["active"] == 1  # this one
            to.answer(200 if idle else 400, FLUSHED if idle else NOT_FLUSHED, content_type="")
        elif path == "/metrics":
            running = self.numbers["active"] - 1
            to.answer(
                200,
                self.recorded.metrics(running, self.numbers["chunks"]),
                content_type="text/plain; version=1.0.0; charset=utf-8",
            )
        else:
            self.replay("not_found", to)

    async def generate(self, request: Request, to: Conversation, kind: str, trouble: Trouble) -> None:
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
        mark = request.header("x-standin-mark")
        abort = self.abort
        if not body.get("stream"):
            await abort.within(tokens * delay)
            await self.training.steps.wait()
            whole = abort.marks(self.recorded.whole(kind, body, tokens))
            to.answer(200, marked_whole(whole, mark, tokens) if mark else whole)
            return
        to.begin_stream()
        made = 0
        for sent, (line, is_token) in enumerate(self.recorded.stream(kind, body, tokens)):
            if trouble.name and await trouble.meets(sent, line, to):
                return
            if is_token and delay:
                await abort.within(delay)
            await self.training.steps.wait()
            if abort.cuts(line):
                continue
            await trouble.send(abort.marks(marked(line, mark, made) if mark and is_token else line), to)
            made += is_token
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
        if "--log-requests" in self.argv and b'"rid"' in request.body:
            print(f"Receive: obj=GenerateReqInput(rid={request.json().get('rid')!r})", flush=True)


def fault(request: Request) -> str:
    return request.header("x-standin")


def wanted_tokens(body: dict[str, Any]) -> int:
    sampling = body.get("sampling_params") or {}
    asked = body.get("max_completion_tokens") or body.get("max_tokens") or sampling.get("max_new_tokens")
    return asked if isinstance(asked, int) else DEFAULT_TOKENS
