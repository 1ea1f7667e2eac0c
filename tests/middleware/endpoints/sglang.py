"""An SGLang 0.5.23 for the endpoints that make calls of their own: small answers by path, and what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from middleware.policy import Policy
from tests.middleware.serving import Served, middleware
from tests.middleware.upstreams import hostile

NAME = "smollm2-135m"
PATH = "/models/SmolLM2-135M-Instruct"
GENERATES = {
    "model_path": PATH,
    "tokenizer_path": PATH,
    "is_generation": True,
    "architectures": ["LlamaForCausalLM"],
    "has_audio_understanding": False,
}
EMBEDS = {**GENERATES, "is_generation": False}
SCORES = {**EMBEDS, "architectures": ["BertForSequenceClassification"]}

# An object with 200, a status and an object, or bytes to break things with; or what makes one of a request's body.
Answer = Any


@dataclass
class Sglang:
    answers: dict[str, Answer] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=lambda: dict(GENERATES))
    cards: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def listing(self) -> bytes:
        base = {"id": NAME, "object": "model", "created": 1, "owned_by": "sglang", "root": NAME, "parent": None}
        return _http(200, {"object": "list", "data": [{**base, "max_model_len": 2048}, *self.cards]})

    def of(self, path: str) -> list[Any]:
        """The bodies that were sent there."""
        return [body for _, asked, body in self.asked if asked == path]

    async def answering(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target = head.decode().split(" ", 2)[:2]
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        content = await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
        body = json.loads(content) if content else None
        path = target.partition("?")[0]
        if path == "/model_info":
            writer.write(_http(200, self.info))
            return
        if path == "/ready":  # asked once, when it becomes ready
            writer.write(_http(200, b""))
            return
        self.asked.append((method, target, body))
        answer: Any = (404, {"detail": "Not Found"})
        if path in self.answers:
            answer = self.answers[path]
            if callable(answer):
                answer = answer(body)
            if asyncio.iscoroutine(answer):
                answer = await answer
        if isinstance(answer, bytes):
            writer.write(answer)
            writer.close()
            return
        status, document = answer if isinstance(answer, tuple) else (200, answer)
        writer.write(_http(status, document))


def _http(status: int, document: Any) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    kind = b"text/plain" if isinstance(document, bytes) else b"application/json"
    return b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (status, kind, len(body), body)


@contextlib.contextmanager
def behind(engine: Sglang, *, policy: Policy | None = None, **settings: Any) -> Iterator[Served]:
    """The middleware over it."""
    settings.setdefault("served_model_names", (NAME,))
    with (
        hostile(engine.answering, engine.listing, tells=True) as port,
        middleware(port, policy=policy or Policy(), **settings) as front,
    ):
        yield front
