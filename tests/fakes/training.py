"""A trainer's orders to the stand-in, as SGLang 0.5.23 obeys them: pause, continue, weights from a folder, a version.
Used by `tests.fakes.engine`; the answers are those that were recorded of a real one.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

from tests.fakes.conversation import Conversation, Request
from tests.fakes.orders import Abort

if TYPE_CHECKING:
    from tests.fakes.engine import Engine

PAUSED = b'{"message":"Generation paused successfully.","status":"ok"}'
CONTINUED = b'{"message":"Generation continued successfully.","status":"ok"}'
MEMORY = {"weight_gb": 0.167, "kv_cache_gb": 0.352}
NOT_FOUND = "Failed to get weights iterator: Repo id must be in the form 'repo_name' or 'namespace/repo_name'"


class Training:
    """`open` is the gate that new requests wait at, `steps` is what lets the scheduler make a token."""

    paths = ("/pause_generation", "/continue_generation", "/update_weights_from_disk", "/update_weight_version")

    def __init__(self, model_path: str = "") -> None:
        self.model_path = model_path  # as the command line has it
        self.open, self.steps = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.steps.set()
        self.mode = ""  # of the pause
        self.version = "default"
        self.place = ""
        self.orders: list[tuple[str, Any]] = []

    @property
    def is_paused(self) -> bool:
        return not self.open.is_set()

    async def order(self, request: Request, to: Conversation, engine: Engine) -> None:
        body = request.json()
        self.orders.append((request.path, body))
        match request.path:
            case "/pause_generation":
                await self._pause(body.get("mode", "abort"), engine)
                to.answer(200, PAUSED)
            case "/continue_generation":
                self.open.set()
                self.steps.set()
                self.mode = ""
                to.answer(200, CONTINUED)
            case "/update_weight_version":
                self.version = body["new_version"]
                told = {"success": True, "message": f"Weight version updated to {self.version}"}
                to.answer(200, json.dumps(told | {"new_version": self.version}).encode())
            case _:
                await self._load(body, to)

    async def _pause(self, mode: str, engine: Engine) -> None:
        self.open.clear()
        self.mode = mode
        if mode != "abort":
            self.steps.clear()
            return
        if not self.steps.is_set() and engine.numbers["generating"]:
            # Who runs can never end, and the lock that is held meanwhile is the one that continuing needs.
            await asyncio.Event().wait()
        while engine.numbers["generating"]:
            engine.abort.give()
            engine.abort = Abort()
            await asyncio.sleep(0.01)

    async def _load(self, body: dict[str, Any], to: Conversation) -> None:
        await asyncio.sleep(float(os.environ.get("STANDIN_UPDATE_SECONDS", "0")))
        place = body["model_path"]
        found = os.path.isdir(place)  # noqa: PTH112, ASYNC240 - nobody else waits here
        if found:
            self.place, self.version = place, body.get("weight_version") or self.version
        message = "Succeeded to update model weights." if found else f"{NOT_FOUND}: '{place}'."
        told = {"success": found, "message": message, "num_paused_requests": 0}
        to.answer(200 if found else 400, json.dumps(told).encode())

    def models(self, recorded: bytes) -> bytes:
        """A load renames the model, whatever --served-model-name says."""
        if not self.place:
            return recorded
        listing = json.loads(recorded)
        listing["data"][0] |= {"id": self.place, "root": self.place}
        return json.dumps(listing).encode()

    def told(self, path: str, generating: int) -> bytes:
        named = {"model_path": self.model_path} if self.model_path else {}
        named = {"model_path": self.place, "served_model_name": self.place} if self.place else named
        answers: dict[str, Any] = {
            "/model_info": {**named, "weight_version": self.version},
            "/server_info": {"tp_size": 1, "pp_size": 1, "dp_size": 1},
            "/v1/loads": {"loads": [{"num_running_reqs": generating, "num_waiting_reqs": 0, "memory": MEMORY}]},
        }
        return json.dumps(answers[path]).encode()
