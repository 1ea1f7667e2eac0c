"""THE table of what is measured of several models: each scenario begins with a start of its own, and says its figures.
Walked by `bench.mux.__main__`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.cpu import command
from bench.mux.client import OK, REFUSED, Answer, ask, leaving
from bench.mux.contenders import MODELS, Front
from bench.quantiles import quantile
from bench.running import Failed

A, B = MODELS
READY_SECONDS = 60.0
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.02
ROUGHLY = 0.2  # two requests of 50 ms that run when the time is over end first, and two clocks are compared
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    run: Callable[[Front], Awaitable[Figures]]
    token_ms: int = 50
    starts: bool = False  # It is about the start: nothing is waited for.


async def answered(front: Front, model: str) -> Answer:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        answer = await ask(front.port, model)
        if answer.is_right:
            return answer
        await asyncio.sleep(LOOK_SECONDS)
    raise Failed(f"{model} does not answer within {READY_SECONDS:.0f} s (at last: {answer.outcome})")


async def begin(front: Front) -> None:
    """Both have been awake, and B is: how sglangmux begins."""
    for model in MODELS:
        await answered(front, model)


async def start(front: Front) -> Figures:
    outcomes = [(await ask(front.port, A), time.monotonic() - front.started)]
    while not outcomes[-1][0].is_right:
        if outcomes[-1][1] > READY_SECONDS:
            raise Failed(f"no answer {READY_SECONDS:.0f} s after the start")
        await asyncio.sleep(LOOK_SECONDS)
        outcomes.append((await ask(front.port, A), time.monotonic() - front.started))
    heard = next(when - answer.seconds for answer, when in outcomes if answer.outcome != REFUSED)
    said = sorted({answer.outcome for answer, _ in outcomes} - {REFUSED, OK})
    return {"open_s": heard, "first_answer_s": outcomes[-1][1], "said_before": said}


async def stream(front: Front) -> Figures:
    answer = await ask(front.port, B, 20, stream=True)
    return {"first_byte_s": answer.first, "pieces": answer.pieces, "outcome": answer.outcome}


async def thrash(front: Front) -> Figures:
    """Two clients, one a model, each with the next request when it has its answer."""
    begun, at = time.monotonic(), time.time()

    async def client(model: str) -> list[Answer]:
        return [await ask(front.port, model) for _ in range(10)]

    answers = [answer for each in await asyncio.gather(*map(client, MODELS)) for answer in each]
    end = time.time()
    stays = [stay for stay in front.device.stays(end) if stay.until > at]
    return {
        "wall_s": time.monotonic() - begun,
        "p50_s": quantile([answer.seconds for answer in answers], 0.5),
        "longest_s": max(answer.seconds for answer in answers),
        "switches": len(stays) - 1,
        "wrong": sum(not answer.is_right for answer in answers),
        "drawn": {
            "stays": [[s.model, s.since - at, s.leaving - at, s.until - at] for s in stays],
            "answers": [[answer.model, answer.at - at] for answer in answers],
        },
    }


async def alternate(front: Front) -> Figures:
    """One client that asks for the other model each time: nobody waits but who makes it switch."""
    answers = [await ask(front.port, model) for model in (A, B) * 2]
    return {
        "p50_s": quantile([answer.seconds for answer in answers], 0.5),
        "wrong": sum(not answer.is_right for answer in answers),
    }


async def leave_switching(front: Front) -> Figures:
    """A client of A is gone as soon as B has begun to make place for it."""
    async with leaving(front.port, A):
        deadline = time.monotonic() + READY_SECONDS
        while front.device.events[-1].what not in ("leaves", "gone") and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS / 2)
        await asyncio.sleep(0.1)
    return await _afterwards(front, A, B)


async def leave_waiting(front: Front) -> Figures:
    """A client of A is gone while it waits for the end of a stream of B."""
    streaming = asyncio.create_task(ask(front.port, B, 20, stream=True))
    await asyncio.sleep(0.3)
    async with leaving(front.port, A):
        await asyncio.sleep(0.3)
    figures = await _afterwards(front, B, A)
    return figures | {"stream": (await streaming).outcome}


async def _afterwards(front: Front, same: str, other: str) -> Figures:
    first, then = await ask(front.port, same), await ask(front.port, other)
    figures: Figures = {"deaths": front.device.deaths}
    for name, answer in (("next", first), ("after", then)):
        figures |= {name: answer.outcome, f"{name}_s": answer.seconds}
    return figures


async def steady(front: Front, seconds: float = 20.0) -> Figures:
    """Two clients keep A busy; one asks for B, and again a second after each answer."""
    await answered(front, A)
    end = time.monotonic() + seconds
    served: list[Answer] = []
    begun = time.time()

    async def busy() -> None:
        while time.monotonic() < end:
            served.append(await ask(front.port, A))

    async def other() -> list[Answer]:
        found = []
        while time.monotonic() < end:
            await asyncio.sleep(1)
            found.append(await ask(front.port, B, patience=READY_SECONDS))
        return found

    _, _, waits = await asyncio.gather(busy(), busy(), other())
    return {
        "longest_s": max(answer.seconds for answer in waits),
        "waits": len(waits),
        "per_s": len(served) / seconds,
        "a_longest_s": max(answer.seconds for answer in served),
        "switch_s": (switch := _switch(front, begun, served, waits)),
        "limit_s": front.max_wait + switch + ROUGHLY,
        "wrong": sum(not answer.is_right for answer in (*served, *waits)),
    }


def _switch(front: Front, begun: float, served: Sequence[Answer], answers: Sequence[Answer]) -> float:
    """The longest, while A was busy, from its last answer, which its leaving waits for, until B has answered."""
    found, end = 0.0, max(one.at for one in served)
    for before, after in pairwise(front.device.stays(time.time())):
        if after.model == B and begun < before.since and after.until < end:
            last = max((one.at for one in served if one.at <= before.until), default=before.leaving)
            first = min((one.at for one in answers if after.since < one.at <= after.until), default=after.since)
            found = max(found, first - last)
    return found


async def sigterm(front: Front) -> Figures:
    """In the middle of a stream of two seconds."""
    streaming = asyncio.create_task(ask(front.port, B, 20, stream=True))
    await asyncio.sleep(0.5)
    begun = time.monotonic()
    front.stop()
    while command(front.pid) and time.monotonic() < begun + STOP_SECONDS:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_SECONDS)
    ended = time.monotonic() - begun
    answer = await streaming
    await asyncio.sleep(1)
    return {"orphans": len(front.device.processes()), "ended_s": ended, "stream": answer.outcome}


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("start", start, starts=True),
    Scenario("stream", stream, token_ms=100),
    Scenario("thrash", thrash),
    Scenario("alternate", alternate),
    Scenario("leave_switching", leave_switching),
    Scenario("leave_waiting", leave_waiting, token_ms=100),
    Scenario("steady", steady),
    Scenario("sigterm", sigterm, token_ms=100),
)
