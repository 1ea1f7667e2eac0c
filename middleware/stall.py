"""Notices a wedged engine: requests run or wait, and by SGLang's own counters no token and no prefill for longer than
its watchdog allows. Started by the application; it reports, and with VLLM_SHIM_STALL_SECONDS has supervision end it.
"""

import asyncio
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

from middleware.engine import Engine, State
from middleware.flow import Flow
from middleware.metrics.exposition import read
from middleware.metrics.scrape import Fetch
from middleware.policy import Policy
from middleware.upstream import ConnectFailed, UpstreamError
from middleware.word import leave_word

log = logging.getLogger("middleware.stall")

TICK_SECONDS = 1.0
# Silence of SGLang's that makes us ask: a scrape costs it 10 ms, and a long answer that is no stream is silent too.
QUIET_SECONDS = 30.0
AGAIN_SECONDS = 10.0
SCRAPE_SECONDS = 10.0

# 0.5.23. The first counts every step of every rank; `generation_tokens_total` moves only when a request ends.
PROGRESS = ("sglang:realtime_tokens_total", "sglang:prefill_effective_tokens_total")
WORK = ("sglang:num_running_reqs", "sglang:num_queue_reqs")
# A paused engine is silent because it was told to be; GONE may be one whose HTTP server hangs.
_SUSPECTS = frozenset({State.READY, State.GONE})


@dataclass(frozen=True, slots=True)
class Counters:
    work: int  # requests that run or wait; 0.5.23 counts none in the first step after idle hours
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
    # 0.5.23 shows the first of PROGRESS from the first step on, and the second at zero before that.
    if PROGRESS[0] not in sums and sums.get(PROGRESS[1]) != 0.0:
        return None
    work, progress = (sum(sums.get(name, 0.0) for name in names) for names in (WORK, PROGRESS))
    return Counters(int(work), progress) if math.isfinite(work + progress) else None


class Stall:
    """`fetch` is SGLang's /metrics: ConnectFailed if nobody is there, any other failure means that it hangs.

    `ready` is the file that tells one life of the engine from the next, `word` is where supervision looks; `run` never
    ends by itself.
    """

    __slots__ = (
        "_again",
        "_engine",
        "_fetch",
        "_flow",
        "_known",
        "_life",
        "_limit",
        "_policy",
        "_ready",
        "_silent_since",
        "_told",
        "_word",
    )

    def __init__(
        self,
        engine: Engine,
        flow: Flow,
        fetch: Fetch,
        policy: Policy,
        ready: Path | None,
        word: Path | None,
    ) -> None:
        self._engine = engine
        self._flow = flow
        self._fetch = fetch
        self._policy = policy
        self._ready = ready
        self._word = word
        self._limit = float(min(policy.watchdog_seconds, policy.stall_seconds or policy.watchdog_seconds))
        self._silent_since: float | None = None  # no progress has been seen since
        self._life = 0  # whose silence it is
        self._again = 0.0
        self._known: Counters | None = None
        self._told = False

    async def run(self) -> None:
        while True:
            try:
                await self.look(time.monotonic())
            except Exception:
                log.exception("looking whether the engine is stalled failed")
            await asyncio.sleep(TICK_SECONDS)

    async def look(self, now: float) -> None:
        """Between clients that give up a wedged engine has none: only progress, or no work, ends the suspicion."""
        if self._silent_since is None:
            if self._flow.active and self._engine.state in _SUSPECTS:
                self._silent_since, self._life = max(now, self._flow.last), self._born()
        elif why := self._excuse(self._silent_since):
            self._over(why)
        elif now - self._silent_since >= min(QUIET_SECONDS, self._limit / 4):
            await self._suspect(now, self._silent_since)

    def _excuse(self, since: float) -> str:
        if self._engine.state not in _SUSPECTS:
            return f"it is {self._engine.state.value}"
        if self._flow.last > since:
            return "it answers"
        return "" if self._born() == self._life else "its life has ended, or it has become ready again"

    def _born(self) -> int:
        """When this life became ready; 0 without one. Supervision takes the file away when the engine dies."""
        try:
            return self._ready.stat().st_mtime_ns if self._ready is not None else 0
        except OSError:
            return 0

    async def _suspect(self, now: float, since: float) -> None:
        seconds, limit = now - since, self._policy.stall_seconds
        to_be_ended = self._word is not None and 0 < limit <= seconds
        looks = now >= self._again
        if looks:
            self._again = now + min(AGAIN_SECONDS, self._limit / 4)
            if not await self._still_silent(now) or self._excuse(since):
                return
        if seconds < self._limit:
            return
        work = (self._known.work if self._known is not None else 0) or self._flow.active
        sentence = f"no token for {seconds:.0f} s while {work} request{'s' if work != 1 else ''} ran or waited"
        if not self._engine.stalled_seconds:
            log.warning("engine: stalled: %s (SGLang's watchdog: %d s)", sentence, self._policy.watchdog_seconds)
        self._engine.stalled_seconds = seconds
        if looks and to_be_ended and self._word is not None:
            if not self._told:
                self._told = True
                log.warning("engine: to be ended, after VLLM_SHIM_STALL_SECONDS=%d", limit)
            # Only on what SGLang says now: since the last look it may have died, and another may be there. And again
            # with each look, as long as it lasts: a full disk loses the first one.
            leave_word(self._word, f"{self._life}\nwedged: {sentence}")

    async def _still_silent(self, now: float) -> bool:
        try:
            async with asyncio.timeout(SCRAPE_SECONDS):
                _, text = await self._fetch()  # An error tells no counters.
        except ConnectFailed:
            self._over("nobody is there")
            return False
        except (UpstreamError, TimeoutError):
            return True  # It does not even say how it is.
        found, before = await asyncio.to_thread(counters, text), self._known
        if found is None:
            self._over("this SGLang does not tell its progress")
        elif not found.work and not self._flow.active:
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
