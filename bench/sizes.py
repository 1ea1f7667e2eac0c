"""How much is measured: a full run, and a brief one that shows no more than that all of it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """How long each measurement takes."""

    rounds: int
    seconds: int  # of each load of requests
    many: tuple[int, ...]  # streams at once
    tokens: int  # of each of them
    bursts: int  # of first tokens
    firsts: int  # alone, one after the other
    large: int  # large requests beside running streams
    held: int  # streams that are held open
    scrapes: int  # of /metrics, one after the other
    drawn: int  # tokens of the stream that is drawn
    starts: int
    real_rounds: int
    brief: bool = False  # what takes time and shows nothing new is left out


FULL = Sizes(
    rounds=3, seconds=2, many=(64, 256), tokens=100, bursts=10, firsts=80, large=3, held=1000, scrapes=20, drawn=100,
    starts=5, real_rounds=6,
)  # fmt: skip
QUICK = Sizes(
    rounds=1,
    seconds=1,
    many=(64,),
    tokens=25,
    bursts=2,
    firsts=5,
    large=1,
    held=100,
    scrapes=5,
    drawn=40,
    starts=1,
    real_rounds=0,
    brief=True,
)
