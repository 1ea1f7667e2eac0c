"""SGLang 0.5.23's adapters as they behave: a change holds a lock until the requests of what it unloads are done, what
was once loaded is loaded again in silence, and above the limit the least recently used goes.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from tests.middleware.endpoints.sglang import NAME, Sglang
from tests.middleware.serving import PATIENCE


class Lora(Sglang):
    """A completion whose prompt is "long" runs until `release`."""

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self.limit = limit
        self.paths: dict[str, str] = {}
        self.once: dict[str, str] = {}
        self.running: dict[str, int] = {}
        self._released = threading.Event()
        self._idle: dict[str, asyncio.Event] = {}
        self.slow: set[str] = set()  # Paths that take until `release`.
        self._lock: asyncio.Lock | None = None
        self.answers |= {
            "/load_lora_adapter": self._load,
            "/unload_lora_adapter": self._unload,
            "/v1/completions": self._complete,
            "/server_info": {"max_loaded_loras": limit},
        }

    def release(self) -> None:
        self._released.set()

    @property
    def lock(self) -> asyncio.Lock:
        self._lock = self._lock or asyncio.Lock()
        return self._lock

    async def _load(self, body: dict[str, str]) -> Any:
        async with self.lock:
            return await self._load_locked(body["lora_name"], body["lora_path"])

    async def _load_locked(self, name: str, path: str) -> Any:
        if path in self.slow:
            await self._until_released()
        if name in self.paths:
            return _failed(f"Failed to load LoRA adapter {name} because it is already loaded")
        if "bad" in path:
            return _failed(f"Failed to load {name} because LoRA serving currently doesn't support DoRA adapters")
        self.paths[name] = self.once[name] = path
        self.running.setdefault(name, 0)
        while self.limit is not None and len(self.paths) > self.limit:
            await self._unload_locked(next(iter(self.paths)))
        self._list()
        return _done()

    async def _unload(self, body: dict[str, str]) -> Any:
        async with self.lock:
            if body["lora_name"] not in self.paths:
                return _failed(f"LoRA with name {body['lora_name']} does not exist. Loaded LoRAs: odict_keys([])")
            await self._unload_locked(body["lora_name"])
            return _done()

    async def _unload_locked(self, name: str) -> None:
        del self.paths[name]
        self._list()
        if self.running[name]:
            self._idle[name] = asyncio.Event()
            await self._idle[name].wait()

    async def _complete(self, body: dict[str, Any]) -> Any:
        name = body.get("lora_path")
        if name is not None:
            if name not in self.paths:
                if name not in self.once:
                    return 400, {"object": "error", "message": f"Got LoRA adapter that has never been loaded: {name}"}
                await self._load({"lora_name": name, "lora_path": self.once[name]})
            self.paths[name] = self.paths.pop(name)
            self.running[name] += 1
        path = self.paths.get(name or "", "")
        try:
            if body["prompt"] == "long":
                await self._until_released()
            await asyncio.sleep(0)
        finally:
            if name is not None:
                self.running[name] -= 1
                if not self.running[name] and name in self._idle:
                    self._idle[name].set()
        choice = {"index": 0, "text": path, "logprobs": None, "finish_reason": "length", "matched_stop": None}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return {
            "id": "1",
            "object": "text_completion",
            "created": 1,
            "model": NAME,
            "choices": [choice],
            "usage": usage,
        }

    async def _until_released(self) -> None:
        await asyncio.to_thread(self._released.wait, PATIENCE)

    def _list(self) -> None:
        self.cards = [{"id": name, "root": path, "parent": NAME} for name, path in self.paths.items()]


def _done() -> Any:
    return {"success": True, "error_message": "", "loaded_adapters": {}}


def _failed(words: str) -> Any:
    return 400, {"success": False, "error_message": words, "loaded_adapters": None}
