"""A trainer's side of the loop, as prime-rl's orchestrator goes through it: wait for the server, pause, update, resume.
Used by the rehearsals; in our words, with its limits of time and its retries (`tests.rl.orders`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from tests.rl.orders import ATTEMPTS, CONNECT, FIRST_WAIT, LONGEST_WAIT, PAUSE, POOL, RESUME, UPDATE, WRITE, Order

MARKER = "NCCL_READY"  # touched before every update, by whatever transport
HEALTH_SECONDS = 1.0
METRICS_SECONDS = 5.0


class Stopped(Exception):
    """The run ends with this sentence."""


@dataclass(frozen=True, slots=True)
class Told:
    """One attempt, and what came of it."""

    path: str
    status: int  # 0: no answer
    text: str


class Trainer:
    """async with training(url, key) as trainer:
    await trainer.ready("model")
    await trainer.step(folder)
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.told: list[Told] = []

    async def ready(self, model: str, seconds: float) -> None:
        """200 is ready and 404 is a server without the route; any other answer is waited out."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.TransportError):
                status = (await self._client.get("/health")).status_code
                if status in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
                    break
            if time.monotonic() > deadline:
                raise Stopped(f"the server is not ready within {seconds:.0f} s")
            await asyncio.sleep(HEALTH_SECONDS)
        served = [each["id"] for each in (await self._client.get("/v1/models")).json()["data"]]
        if model not in served:
            raise Stopped(f"{model} is not among {', '.join(served)}")

    async def metrics(self) -> dict[str, float]:
        """Sums over the labels; what a name ends with (`_total`, `_created`) is part of it."""
        text = (await self._client.get("/metrics", timeout=METRICS_SECONDS)).raise_for_status().text
        sums: dict[str, float] = {}
        for line in text.splitlines():
            if line.startswith("vllm:"):
                head, _, value = line.rpartition(" ")
                name = head.partition("{")[0]
                sums[name] = sums.get(name, 0.0) + float(value)
        return sums

    async def announce(self, host: str, port: int) -> None:
        """For the NCCL transport. What the server answers is not looked at: prime-rl goes on after any error here."""
        body = {"host": host, "port": port, "rank_offset": 0, "inference_world_size": 1, "timeout": 60}
        answer = await self._client.post("/init_broadcaster", json={**body, "quantize_in_weight_transfer": False})
        self.told.append(Told("/init_broadcaster", answer.status_code, answer.text))

    async def step(self, folder: Path | None) -> None:
        """New weights; the engine goes on, whatever became of them."""
        await self.give(PAUSE)
        try:
            if folder is not None:
                await asyncio.to_thread(_mark, folder)
            await self.give(UPDATE, {"weight_dir": folder.as_posix() if folder is not None else None})
        finally:
            await self.give(RESUME)

    async def give(self, order: Order, body: Mapping[str, Any] | None = None) -> None:
        """Until it is done, or what came of the last attempt is Stopped."""
        started = time.monotonic()
        for attempt in range(ATTEMPTS):
            told = await self._attempt(order, body)
            self.told.append(told)
            if told.status and told.status < HTTPStatus.BAD_REQUEST:
                return
            over = time.monotonic() - started >= order.total_seconds or attempt + 1 == ATTEMPTS
            if over or (told.status and not order.again(told.status)):
                raise Stopped(f"{order.path}: {told.status or 'no answer'}: {told.text}")
            await asyncio.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))

    async def _attempt(self, order: Order, body: Mapping[str, Any] | None) -> Told:
        limits = httpx.Timeout(connect=CONNECT, read=order.read_seconds, write=WRITE, pool=POOL)
        try:
            answer = await self._client.post(order.path, params=order.query, json=body, timeout=limits)
        except (httpx.TimeoutException, httpx.TransportError) as failure:
            return Told(order.path, 0, repr(failure))
        return Told(order.path, answer.status_code, answer.text)

    def attempts(self, order: Order) -> list[int]:
        """The statuses, in their order."""
        return [told.status for told in self.told if told.path == order.path]


def _mark(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


@contextlib.asynccontextmanager
async def training(url: str, key: str) -> AsyncIterator[Trainer]:
    """With connections of its own: the rollouts must not be in the way."""
    limits = httpx.Limits(max_connections=4, max_keepalive_connections=1)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=None, trust_env=False) as client:
        yield Trainer(client)
