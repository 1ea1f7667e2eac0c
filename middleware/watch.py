"""Asks SGLang every quarter of a second how it is, and tells the engine object; while it loads its log tells how far.
Started by the application; with `--ready-file` it also leaves word for supervision each time the engine becomes ready.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec

from middleware.calls import Calls
from middleware.engine import Engine, State
from middleware.model import Model
from middleware.phases import EngineLog
from middleware.upstream import UpstreamError

log = logging.getLogger("middleware.watch")

INTERVAL_SECONDS = 0.25
# A busy engine is slow, not dead: while its connection stands, this is how long it may take to say so.
PATIENCE_SECONDS = 10.0

_WAITING = frozenset({State.LOADING, State.GONE})


class _Models(msgspec.Struct):
    data: list[dict[str, object]]


class Watcher:
    """`run` never ends by itself: a poll that goes wrong as nobody expected is logged, and the next one comes."""

    __slots__ = ("_calls", "_engine", "_log", "_model", "_ready_file", "_warm")

    def __init__(
        self,
        engine: Engine,
        calls: Calls,
        ready_file: Path | None,
        model: Model | None = None,
        warm: Callable[[], Awaitable[None]] | None = None,
        engine_log: Path | None = None,
    ) -> None:
        self._engine = engine
        self._calls = calls
        self._ready_file = ready_file
        self._model = model
        self._warm = warm
        self._log = EngineLog(engine_log) if engine_log is not None else None

    async def run(self) -> None:
        while True:
            try:
                await self.poll()
            except Exception:
                log.exception("asking the engine how it is failed")
            await asyncio.sleep(INTERVAL_SECONDS)

    async def poll(self) -> None:
        if self._log is not None and self._engine.state in _WAITING:
            self._engine.reach(self._log.look())
        try:
            status, _ = await self._get("/health")
            if status != HTTPStatus.OK:
                self._lost(f"its /health answers {status}")
            elif self._engine.state in _WAITING:
                await self._first_models()
        except TimeoutError:
            self._lost(f"its /health did not answer within {PATIENCE_SECONDS:g} s")
        except UpstreamError:
            self._lost("nothing answers on its port")

    async def _get(self, path: str) -> tuple[int, bytes]:
        """By the byte path's own client: four times a second httpx cost as much as the chunks of three streams."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._calls.fetch("GET", path)

    async def _first_models(self) -> None:
        """Routers read /v1/models once, when the pod becomes ready: ready must imply that it has something to say."""
        status, content = await self._get("/v1/models")
        if status != HTTPStatus.OK:
            self._lost(f"its /v1/models answers {status}")
            return
        try:
            models = msgspec.json.decode(content, type=_Models).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            models = []
        if not models:
            self._lost("its /v1/models lists no model")
            return
        if self._model is not None:
            # Before the first request: what the model is for decides which routes exist.
            await self._model.learn(models, _object(*await self._get("/model_info")))
        if self._warm is not None:
            await self._warm()
        if self._engine.become(State.READY, "it serves a model") and self._ready_file is not None:
            leave_word(self._ready_file, f"{time.time():.3f}")

    def _lost(self, why: str) -> None:
        if self._engine.state in _WAITING:
            self._engine.explain(why)
        else:
            self._engine.become(State.GONE, why)
            if self._log is not None:
                self._log.forget()


def _object(status: int, content: bytes) -> dict[str, Any]:
    """Empty if it is none: an older SGLang is served as well as it tells."""
    try:
        return msgspec.json.decode(content, type=dict[str, Any]) if status == HTTPStatus.OK else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def leave_word(path: Path, text: str) -> None:
    """Writes the file anew, whole and for our user alone: whoever watches it sees a new file, never half of one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.touch(mode=0o600)
        fresh.write_text(f"{text}\n")
        fresh.replace(path)
    except OSError as exc:
        log.warning("the file %s cannot be written: %s", path, exc.strerror)
