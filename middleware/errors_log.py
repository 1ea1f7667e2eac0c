"""VLLM_SHIM_DUMP_ERRORS: each request that was answered with an error goes into errors.log, prompt and all.
Put around the whole application by `middleware.app` where the operator asks for it; otherwise none of it runs.
"""

import json
import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import BoundedSemaphore

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.access_log import NEVER
from middleware.dialect.ids import assigned
from middleware.masking import Mask
from supervision.rotated import RotatedFile

log = logging.getLogger("middleware.errors_log")

MAX_BYTES = 4 << 20
BACKUPS = 1
# haproxy asks three times a second, through all of a start: what they say is no request refused.
PROBES = NEVER | {"/ping", "/ready"}
LONGEST_BODY = 64 << 10
LONGEST_MESSAGE = 2000
# Records that wait for the disk: 128 KB each, at most.
WAITING = 100


@dataclass(slots=True)
class Text:
    """The first 64 KB of a body, and as much more as a key may be long that crosses the edge."""

    more: int = 0
    kept: bytearray = field(default_factory=bytearray)
    size: int = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if (room := LONGEST_BODY + self.more - len(self.kept)) > 0:
            self.kept += data[:room]

    def told(self, mask: Mask) -> dict[str, object]:
        text = mask.data(bytes(self.kept), LONGEST_BODY).decode("utf-8", "replace")
        return {"text": text, "bytes": self.size, "cut": self.size > LONGEST_BODY}


@dataclass(slots=True)
class Record:
    """What is known of one request while it runs."""

    request: Text
    answer: Text
    sent: Text | None = None  # the last that SGLang was asked for it
    status: int = 0
    cut_short: str = ""

    def opened(self, body: bytes) -> None:
        self.sent = Text(self.request.more)
        self.sent.add(body)


# Of the request that is being answered, for those who know of no ASGI: `middleware.upstream`, `middleware.relay`.
RECORD: ContextVar[Record | None] = ContextVar("errors_log", default=None)


class ErrorsLog:
    def __init__(self, app: ASGIApp, path: str, secrets: Iterable[str] = ()) -> None:
        self._app = app
        self._mask = Mask(secrets)
        # One thread, that no disk holds up the event loop, and the lines are in order.
        self._writer = ThreadPoolExecutor(1, "errors-log")
        self._room = BoundedSemaphore(WAITING)
        self._dropped = 0
        self._file = RotatedFile(path, MAX_BYTES, BACKUPS, log.warning)
        log.warning("the prompts of requests that fail are written to %s (VLLM_SHIM_DUMP_ERRORS)", path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = Record(Text(self._mask.longest), Text(self._mask.longest))
        RECORD.set(record)

        async def heard() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                record.request.add(message.get("body", b""))
            return message

        async def said(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            elif record.status >= 400:
                record.answer.add(message.get("body", b""))
            await send(message)

        name = assigned(scope)
        try:
            await self._app(scope, heard, said)
        finally:
            if (record.status >= 400 or record.cut_short) and scope["path"] not in PROBES:
                self._put(record, {"id": name, "method": scope["method"], "path": self._mask.text(scope["path"])})

    def _put(self, record: Record, named: dict[str, object]) -> None:
        if not self._room.acquire(blocking=False):
            self._dropped += 1
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        written = self._writer.submit(self._write, record, {"time": now, **named}, self._dropped)
        written.add_done_callback(lambda _: self._room.release())
        self._dropped = 0

    def _write(self, record: Record, named: dict[str, object], dropped: int) -> None:
        line = {
            **named,
            "status": record.status,
            "message": record.cut_short or self._mask.cut(sentence(bytes(record.answer.kept)), LONGEST_MESSAGE),
            "request": record.request.told(self._mask),
            "to_sglang": record.sent.told(self._mask) if record.sent is not None else None,
            **({"dropped_before": dropped} if dropped else {}),
        }
        self._file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")


def sentence(answer: bytes) -> str:
    """What the answer says, in whichever of vLLM's shapes; or the answer as it is."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        said = None
    while isinstance(said, dict):
        said = said.get("error") or said.get("message") or said.get("detail")
    return said if isinstance(said, str) else answer.decode("utf-8", "replace")
