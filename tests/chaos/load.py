"""Clients that never stop: chats and completions, streamed or not, on kept and fresh connections; and among them those
who leave, read slowly, or send half a request. `round` runs them in a thread; each answer is an `Asked`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.chaos.answers import CHAT, MESSAGES, End, Question, draw, ended
from tests.chaos.story import Story
from tests.chaos.wire import Wire, connect

CLIENTS = 10
ODD_ONES = 3
FOR_EVER = 60.0
BETWEEN = 0.08
SLOW_TOKENS = 1500


@dataclass(frozen=True, slots=True)
class Asked:
    question: Question
    began: float
    ended: float
    end: End
    note: str

    def __str__(self) -> str:
        return f"{self.began:7.2f} to {self.ended:7.2f} s  {self.question}: {self.end} {self.note}"


@dataclass
class Load:
    port: int
    seed: int
    story: Story
    asked: list[Asked] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    async def run(self) -> None:
        clients = [self._well_behaved(number) for number in range(CLIENTS)]
        clients += [self._odd(number) for number in range(ODD_ONES)]
        await asyncio.gather(*clients)

    async def _well_behaved(self, number: int) -> None:
        rng = random.Random(f"{self.seed} client {number}")
        keeps, asked, wire = number % 2 == 0, 0, None
        while not self.stop.is_set():
            asked += 1
            question = draw(rng, f"{self.seed}-{number}-{asked}")
            wire = await self._ask(question, wire)
            if wire is not None and not (keeps and wire.reusable):
                wire.close()
                wire = None
            # Who is sent away does not come back at once.
            await asyncio.sleep(rng.uniform(0, 2 * BETWEEN if self.asked[-1].end is End.WHOLE else 4 * BETWEEN))
        if wire is not None:
            wire.close()

    async def _ask(self, question: Question, wire: Wire | None, *, slow: bool = False) -> Wire | None:
        began = self.story.now()
        note = ""
        try:
            async with asyncio.timeout(FOR_EVER):
                if wire is None or not wire.reusable:
                    if wire is not None:
                        wire.close()
                    wire = await connect(self.port, slow=slow)
                sipping = asyncio.create_task(wire.sip()) if slow else None
                try:
                    answer = await wire.ask(question.request())
                finally:
                    if sipping is not None:
                        sipping.cancel()
                end, note = ended(question, answer)
        except ConnectionRefusedError:
            end, wire = End.REFUSED, None
        except TimeoutError:
            end = End.LATE
            if wire is not None:
                note = f"status {wire.answer.status}, {len(wire.answer.body)} bytes so far"
                wire.close()
                wire = None
        except OSError as fault:  # reset while it connects
            end, note, wire = End.CUT_BEFORE, repr(fault), None
        self.asked.append(Asked(question, began, self.story.now(), end, note))
        return wire

    async def _odd(self, number: int) -> None:
        """Nothing is expected for them, but the slow reader gets all of its answer; the others must not suffer."""
        rng = random.Random(f"{self.seed} odd one {number}")
        asked = 0
        while not self.stop.is_set():
            asked += 1
            uid = f"{self.seed}-odd{number}-{asked}"
            if number == 0:
                slow = Question(uid, rng.choice((CHAT, CHAT, MESSAGES)), stream=True, tokens=SLOW_TOKENS)
                wire = await self._ask(slow, None, slow=True)
                if wire is not None:
                    wire.close()
            else:
                await self._leave(rng, Question(uid, CHAT, stream=rng.random() < 0.7, tokens=100, delay_ms=20))
            await asyncio.sleep(rng.uniform(0.05, 0.3))

    async def _leave(self, rng: random.Random, question: Question) -> None:
        request = question.request()
        with contextlib.suppress(OSError):
            wire = await connect(self.port)
            try:
                head = request.index(b"\r\n\r\n") + 4
                parts = (request[: head // 2], request[:head], request[:-5])
                wire.send(rng.choice((request, request, request, *parts, b"\0\1\2\r\n\r\n")))
                await asyncio.sleep(rng.choice((0.0, 0.05, 0.3, 1.5)))
            finally:
                wire.close()


@contextmanager
def loaded(port: int, seed: int, story: Story) -> Iterator[Load]:
    load = Load(port, seed, story)

    def run() -> None:
        try:
            asyncio.run(load.run())
        except Exception as fault:  # a fault of ours must not look like a quiet round
            load.faults.append(repr(fault))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        thread.join()
