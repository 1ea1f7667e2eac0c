"""Notices a wedged engine: requests run or wait, and by SGLang's own counters no token and no prefill for longer than
its watchdog allows. Started by the application; it reports, and with VLLM_SHIM_STALL_SECONDS has supervision end it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from middleware.calls import Calls
from middleware.engine import Engine, State
from middleware.metrics.exposition import read
from middleware.policy import Policy
from middleware.upstream import ConnectFailed, UpstreamError
from middleware.watch import leave_word

log = logging.getLogger("middleware.stall")

TICK_SECONDS = 1.0
# Silence of SGLang's that makes us ask: a scrape costs it 10 ms, and a long answer that is no stream is silent too.
QUIET_SECONDS = 30.0
AGAIN_SECONDS = 10.0
SCRAPE_SECONDS = 10.0

# 0.5.23. The first counts every step of every rank; `generation_tokens_total` moves only when a request ends.
PROGRESS = ("sglang:realtime_tokens_total", "sglang:prefill_effective_tokens_total")
WORK = ("sglang:num_running_reqs", "sglang:num_queue_reqs")
_NEEDED = frozenset({PROGRESS[0], WORK[0]})


class Flow:
    """What goes on between us and SGLang, written by `middleware.proxy`.

    flow.active += 1         # a request is with SGLang, until `-= 1`
    flow.last = loop.time()  # a byte of an answer came that is no error: those need no scheduler
    """

    __slots__ = ("active", "last")

    def __init__(self) -> None:
        self.active = 0
        self.last = 0.0


@dataclass(frozen=True, slots=True)
class Counters:
    work: int  # requests that run or wait
    progress: float  # tokens made and prefilled since SGLang's start


def counters(content: bytes) -> Counters | None:
    """None if this SGLang does not tell."""
    try:
        text = read(content)
    except ValueError:
        return None
    sums: dict[str, float] = {}
    for head, value in (*text.growing.items(), *text.gauges.items()):
        name = head.partition("{")[0]
        if name in PROGRESS or name in WORK:
            sums[name] = sums.get(name, 0.0) + value
    if not sums.keys() >= _NEEDED:
        return None
    return Counters(int(sum(sums.get(name, 0) for name in WORK)), sum(sums.get(name, 0) for name in PROGRESS))


def scraping(calls: Calls) -> Callable[[], Awaitable[bytes]]:
    async def scrape() -> bytes:
        return (await calls.fetch("GET", "/metrics"))[1]

    return scrape


class Stall:
    """`scrape` is SGLang's /metrics: ConnectFailed if nobody is there, any other failure means that it hangs.

    `word` is where supervision looks; `run` never ends by itself.
    """

    __slots__ = (
        "_again",
        "_engine",
        "_flow",
        "_known",
        "_limit",
        "_policy",
        "_scrape",
        "_silent_since",
        "_told",
        "_word",
    )

    def __init__(
        self, engine: Engine, flow: Flow, scrape: Callable[[], Awaitable[bytes]], policy: Policy, word: Path | None
    ) -> None:
        self._engine = engine
        self._flow = flow
        self._scrape = scrape
        self._policy = policy
        self._word = word
        self._limit = float(min(policy.watchdog_seconds, policy.stall_seconds or policy.watchdog_seconds))
        self._silent_since: float | None = None  # no progress has been seen since
        self._again = 0.0
        self._known: Counters | None = None
        self._told = False

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self.look(loop.time())
            except Exception:
                log.exception("looking whether the engine is stalled failed")
            await asyncio.sleep(TICK_SECONDS)

    async def look(self, now: float) -> None:
        """Between clients that give up a wedged engine has none: only progress, or no work, ends the suspicion."""
        if self._engine.state not in (State.READY, State.GONE):
            # A paused engine is silent because it was told to be; GONE may be one whose HTTP server hangs.
            self._over(f"it is {self._engine.state.value}")
        elif self._silent_since is None:
            self._silent_since = max(now, self._flow.last) if self._flow.active else None
        elif self._flow.last > self._silent_since:
            self._over("it answers")
        elif now - self._silent_since >= min(QUIET_SECONDS, self._limit / 4):
            await self._suspect(now)

    async def _suspect(self, now: float) -> None:
        if now >= self._again:
            self._again = now + min(AGAIN_SECONDS, self._limit / 4)
            if not await self._still_silent(now):
                return
        assert self._silent_since is not None
        seconds = now - self._silent_since
        if seconds < self._limit:
            return
        work = self._known.work if self._known is not None else self._flow.active
        sentence = f"no token for {seconds:.0f} s while {work} request{'s' if work != 1 else ''} ran or waited"
        if not self._engine.stalled_seconds:
            log.warning("engine: stalled: %s (SGLang's watchdog: %d s)", sentence, self._policy.watchdog_seconds)
        self._engine.stalled_seconds = seconds
        if 0 < self._policy.stall_seconds <= seconds and not self._told and self._word is not None:
            self._told = True
            log.warning("engine: to be ended, after VLLM_SHIM_STALL_SECONDS=%d", self._policy.stall_seconds)
            leave_word(self._word, f"wedged: {sentence}")

    async def _still_silent(self, now: float) -> bool:
        try:
            async with asyncio.timeout(SCRAPE_SECONDS):
                text = await self._scrape()
        except ConnectFailed:
            self._over("nobody is there")
            return False
        except (UpstreamError, TimeoutError):
            return True  # It does not even say how it is.
        found, before = counters(text), self._known
        if found is None:
            self._over("this SGLang does not tell its progress")
        elif not found.work:
            self._over("it has nothing to do")
        elif before is not None and found.progress != before.progress:
            self._over("it makes tokens")
            # Silent and at work, as with a long answer that is no stream: a look now and then.
            self._silent_since, self._known = now, found
        else:
            self._known = found
            return True
        return False

    def _over(self, why: str) -> None:
        if self._engine.stalled_seconds:
            log.warning("engine: no longer stalled after %.0f s: %s", self._engine.stalled_seconds, why)
        self._engine.stalled_seconds = 0.0
        self._silent_since = self._known = None
        self._told = False
