"""SGLang's memory saver: releases memory by tags and takes it back, and says whether any was freed.
Used by `middleware.sleeping`, which knows when; each order has a limit, and a failure is one sentence.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from middleware.calls import Calls
from middleware.device_memory import DeviceMemory
from middleware.upstream import UpstreamError

log = logging.getLogger("middleware.sleeping")

KV_CACHE, WEIGHTS = "kv_cache", "weights"
# Not SGLang's third, cuda_graph: a graph may hang that holds registrations of a custom all-reduce.
TAGS = (WEIGHTS, KV_CACHE)
STILL_SECONDS = 30.0
RELEASE_SECONDS = 60.0
RESUME_SECONDS = 120.0
PROOF_SECONDS = 60.0
# The driver gives memory back a moment after SGLang has answered.
FREED_SECONDS = 5.0
LOOK_SECONDS = 0.05
GIB = 1024**3
ONE_TOKEN = {"input_ids": [0], "sampling_params": {"max_new_tokens": 1, "temperature": 0}}


class SleepError(Exception):
    """`status` is for a client, the message one sentence without its full stop."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Memory(msgspec.Struct):
    weight_gb: float = 0.0
    kv_cache_gb: float = 0.0


class _Rank(msgspec.Struct):
    num_running_reqs: int = 0
    memory: _Memory = msgspec.field(default_factory=_Memory)


class _Loads(msgspec.Struct):
    loads: list[_Rank]


@dataclass(frozen=True, slots=True)
class Released:
    """What was in use before, and what SGLang says that its pools hold, in bytes."""

    used: int
    expected: int


class Saver:
    """await saver.still()
    await saver.see(await saver.release(["kv_cache"]))    # or SleepError
    await saver.resume(["kv_cache"])
    saver.trouble                                        # why a release frees nothing here, once that was seen
    """

    def __init__(self, calls: Calls, memory: DeviceMemory) -> None:
        self.trouble = ""
        self._calls = calls
        self._memory = memory

    async def still(self) -> None:
        """Its scheduler holds nothing any more, whatever came at the last moment: a probe of SGLang's own health is a
        request, and a release beside one ends 0.5.23."""
        await self._order("/pause_generation", {"mode": "retract"}, STILL_SECONDS)

    async def release(self, tags: Iterable[str]) -> "Released":
        """Of an SGLang that is still; what was freed by it is to be seen."""
        wanted = _sorted(tags)
        ranks = await self._idle()
        each = {WEIGHTS: lambda one: one.weight_gb, KV_CACHE: lambda one: one.kv_cache_gb}
        expected = round(sum(each[tag](rank.memory) for rank in ranks for tag in wanted) * GIB)
        used = await self._memory.used()
        if used is None:
            self._give_up("no driver of a GPU tells here how much memory is in use, so none would be seen to be freed")
        await self._order("/release_memory_occupation", {"tags": wanted}, RELEASE_SECONDS)
        return Released(used, expected)

    async def see(self, released: "Released") -> None:
        """SGLang answers OK where nothing was freed, too: then SleepError, and `trouble`."""
        freed = released.used - await self._used_after(released)
        if freed <= 0 or freed < released.expected / 2:
            self._give_up(
                f"torch_memory_saver said that it released {released.expected / GIB:.2f} GiB, and {freed / GIB:.2f} of "
                "the GPUs' memory were freed (on ROCm 7.2 it frees none: fzyzcjy/torch_memory_saver issue 83)"
            )
        log.info("%.2f GiB of the GPUs' memory were freed", freed / GIB)

    async def resume(self, tags: Iterable[str]) -> None:
        """Only of what was released: SGLang 0.5.23 dies of any other tag."""
        await self._order("/resume_memory_occupation", {"tags": _sorted(tags)}, RESUME_SECONDS)

    async def prove(self, *, generates: bool) -> None:
        """One token, by a way that waits for nothing else; what makes none has its health, which is a request too."""
        path, body = ("/generate", ONE_TOKEN) if generates else ("/health_generate", None)
        await self._order(path, body, PROOF_SECONDS)

    def distrust(self, why: str) -> None:
        self.trouble = why
        log.warning("the memory saver is not used again: %s", why)

    def _give_up(self, why: str) -> NoReturn:
        self.distrust(why)
        raise SleepError(501, f"The engine cannot sleep: {why}")

    async def _idle(self) -> list[_Rank]:
        try:
            async with asyncio.timeout(STILL_SECONDS):
                while True:
                    content = await self._order("/v1/loads", None, STILL_SECONDS)
                    ranks = msgspec.json.decode(content, type=_Loads).loads
                    if not any(rank.num_running_reqs for rank in ranks):
                        return ranks
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise SleepError(504, f"SGLang was not idle within {STILL_SECONDS:g} s of its pause") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            raise SleepError(502, "SGLang's /v1/loads cannot be read") from failure

    async def _used_after(self, released: "Released") -> int:
        loop = asyncio.get_running_loop()
        end = loop.time() + FREED_SECONDS
        while True:
            now = await self._memory.used()
            used = released.used if now is None else now
            if released.used - used >= max(1, released.expected / 2) or loop.time() >= end:
                return used
            await asyncio.sleep(LOOK_SECONDS)

    async def _order(self, path: str, body: dict[str, Any] | None, seconds: float) -> bytes:
        """SGLang's answer: to a GET if there is no body."""
        content = b"" if body is None else msgspec.json.encode(body)
        try:
            async with asyncio.timeout(seconds):
                status, answer = await self._calls.fetch("GET" if body is None else "POST", path, content)
        except TimeoutError:
            raise SleepError(504, f"SGLang did not answer {path} within {seconds:g} s") from None
        except UpstreamError as failure:
            raise SleepError(502, f"SGLang gave no answer to {path}: {failure}") from failure
        if status != 200:
            log.warning("SGLang answered %d to %s: %.300r", status, path, answer)
            raise SleepError(502, f"SGLang did not obey {path} (status {status})")
        return answer


def _sorted(tags: Iterable[str]) -> list[str]:
    wanted = frozenset(tags)
    return [tag for tag in TAGS if tag in wanted]
