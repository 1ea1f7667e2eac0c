"""Asks SGLang every quarter of a second how it is, and tells the engine object.
Started by the application; with `--ready-file` it also leaves word for supervision each time the engine becomes ready.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from middleware.engine import Engine, State
from middleware.model import Model

log = logging.getLogger("middleware.watch")

INTERVAL_SECONDS = 0.25
# A busy engine is slow, not dead: while its connection stands, this is how long it may take to say so.
PATIENCE_SECONDS = 10.0

_WAITING = frozenset({State.LOADING, State.GONE})


class _Models(msgspec.Struct):
    data: list[dict[str, object]]


class Watcher:
    """`run` never ends by itself: a poll that goes wrong as nobody expected is logged, and the next one comes."""

    __slots__ = ("_control", "_engine", "_model", "_ready_file", "_warm")

    def __init__(
        self,
        engine: Engine,
        control: httpx.AsyncClient,
        ready_file: Path | None,
        model: Model | None = None,
        warm: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._engine = engine
        self._control = control
        self._ready_file = ready_file
        self._model = model
        self._warm = warm

    async def run(self) -> None:
        while True:
            try:
                await self.poll()
            except Exception:
                log.exception("asking the engine how it is failed")
            await asyncio.sleep(INTERVAL_SECONDS)

    async def poll(self) -> None:
        try:
            answer = await self._control.get("/health", timeout=PATIENCE_SECONDS)
            if answer.status_code != 200:
                self._lost(f"its /health answers {answer.status_code}")
            elif self._engine.state in _WAITING:
                await self._first_models()
        except httpx.TimeoutException:
            self._lost(f"its /health did not answer within {PATIENCE_SECONDS:g} s")
        except httpx.TransportError:
            self._lost("nothing answers on its port")

    async def _first_models(self) -> None:
        """Routers read /v1/models once, when the pod becomes ready: ready must imply that it has something to say."""
        answer = await self._control.get("/v1/models", timeout=PATIENCE_SECONDS)
        if answer.status_code != 200:
            self._lost(f"its /v1/models answers {answer.status_code}")
            return
        try:
            models = msgspec.json.decode(answer.content, type=_Models).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            models = []
        if not models:
            self._lost("its /v1/models lists no model")
            return
        if self._model is not None:
            # Before the first request: what the model is for decides which routes exist.
            info = await self._control.get("/model_info", timeout=PATIENCE_SECONDS)
            self._model.learn(models, _object(info))
        if self._warm is not None:
            await self._warm()
        if self._engine.become(State.READY, "it serves a model") and self._ready_file is not None:
            leave_word(self._ready_file)

    def _lost(self, why: str) -> None:
        if self._engine.state in _WAITING:
            self._engine.explain(why)
        else:
            self._engine.become(State.GONE, why)


def _object(answer: httpx.Response) -> dict[str, Any]:
    """Empty if it is none: an older SGLang is served as well as it tells."""
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any]) if answer.status_code == 200 else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def leave_word(path: Path) -> None:
    """Writes the file anew, whole and for our user alone: whoever watches it sees a new file, never half of one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.touch(mode=0o600)
        fresh.write_text(f"{time.time():.3f}\n")
        fresh.replace(path)
    except OSError as exc:
        log.warning("the ready file %s cannot be written: %s", path, exc.strerror)
