"""Asks SGLang every quarter of a second how it is, and tells the engine object; while it loads its log tells how far.
Started by the application; with `--ready-file` it also leaves word for supervision each time the engine becomes ready.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec

from middleware.calls import Calls
from middleware.engine import Engine, State
from middleware.model import Model
from middleware.phases import EngineLog, lost_file
from middleware.upstream import UpstreamError
from middleware.weights.pause import Pause
from middleware.word import leave_word

log = logging.getLogger("middleware.watch")

INTERVAL_SECONDS = 0.25
# A busy engine is slow, not dead: while its connection stands, this is how long it may take to say so.
PATIENCE_SECONDS = 10.0

LOST_SHADOW = (
    "The engine was started again and has lost the adapter that answered under the model's name. Requests are refused"
    " until POST /load_lora_adapter, /update_weights or /reload_weights."
)
_WAITING = frozenset({State.LOADING, State.GONE})
# A /health of SGLang's that generates waits for 20 s of a pause, says 503, and leaves /ready at 503 for good (0.5.23).
_HELD = frozenset({State.PAUSED, State.ASLEEP})


class _Models(msgspec.Struct):
    data: list[dict[str, object]]


class Watcher:
    """`run` never ends by itself: a poll that goes wrong as nobody expected is logged, and the next one comes."""

    __slots__ = (
        "_calls",
        "_engine",
        "_log",
        "_model",
        "_owes_word",
        "_pause",
        "_ready_file",
        "_restore",
        "_slept",
        "_warm",
    )

    def __init__(
        self,
        engine: Engine,
        calls: Calls,
        ready_file: Path | None,
        model: Model | None = None,
        warm: Callable[[], Awaitable[None]] | None = None,
        engine_log: Path | None = None,
        pause: Pause | None = None,
        restore: Callable[[dict[str, Any]], Awaitable[str]] | None = None,
        slept: Callable[[bool], None] | None = None,
    ) -> None:
        self._engine = engine
        self._calls = calls
        self._ready_file = ready_file
        self._owes_word = False
        self._model = model
        self._warm = warm
        self._pause = pause
        self._slept = slept  # told whether SGLang is held still by somebody before us
        self._restore = restore  # weights that it has forgotten; why it cannot be done, or nothing
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
        if why := self._given_up():
            # Without asking: it may still answer, or who has taken its port meanwhile accepts and says nothing.
            self._lost(why)
            return
        try:
            status, _ = await self._get("/model_info" if self._held else "/health")
            if status != HTTPStatus.OK and not self._held:
                self._lost(f"its /health answers {status}")
            elif self._engine.state in _WAITING:
                await self._first_models()
            elif self._owes_word and self._ready_file is not None:
                # A disk that was full when it became ready: supervision would take its death for a failed start.
                self._owes_word = not leave_word(self._ready_file, f"{time.time():.3f}", again=True)
        except TimeoutError:
            # One that reads weights may take its time, as long as its connection stands.
            if not self._held:
                self._lost(f"its /health did not answer within {PATIENCE_SECONDS:g} s")
        except UpstreamError:
            self._lost("nothing answers on its port")

    @property
    def _held(self) -> bool:
        return self._engine.state in _HELD

    def _given_up(self) -> str:
        """What supervision says of a lost engine; and it takes our word away when the process dies."""
        if self._ready_file is None:
            return ""
        try:
            return lost_file(self._ready_file).read_text("utf-8", "replace").strip() or "it is lost"
        except OSError:
            pass
        is_told = self._engine.alive and not self._owes_word
        return "its process has ended" if is_told and not self._ready_file.exists() else ""

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
        forgotten = ""
        if self._model is not None:
            # Before the first request: what the model is for decides which routes exist.
            info = _object(*await self._get("/model_info"))
            shadow = self._model.shadow
            await self._model.learn(models, info)
            forgotten = await self._restore(info) if self._restore is not None else ""
            if shadow and not self._model.shadow:
                forgotten = forgotten or LOST_SHADOW
        if self._warm is not None:
            await self._warm()
        self._engine.withhold(forgotten)
        held = self._pause is not None and await self._pause.is_there()
        if self._engine.become(State.READY, "it serves a model") and self._ready_file is not None:
            self._owes_word = not leave_word(self._ready_file, f"{time.time():.3f}")
        if self._pause is not None:
            await self._pause.found(held=held)
        if self._slept is not None:
            self._slept(held)

    def _lost(self, why: str) -> None:
        self._owes_word = False
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
