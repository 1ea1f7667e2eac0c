"""What a person sees of a server that loads, where nobody rewrites a line."""

from __future__ import annotations

import io

import pytest

from cpu_engine import loading
from cpu_engine.loading import Loading
from cpu_engine.status import StatusLine

LOG = "[sglang] [2026-11-21 10:43:29] "


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loading, "time", clock)
    return clock


@pytest.fixture
def out(clock: Clock) -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def seen(out: io.StringIO) -> Loading:
    return Loading(StatusLine(out))


def test_a_phase_is_said_once(clock: Clock, out: io.StringIO, seen: Loading) -> None:
    clock.now += 3
    seen.line(LOG + "Load weight begin. avail mem=21.50 GB")
    clock.now += 3
    seen.line(LOG + "Load weight end.")
    seen.tick()
    assert out.getvalue() == "   3 s  loading the weights\n"


def test_phases_that_follow_each_other_fast_are_one_line(clock: Clock, out: io.StringIO, seen: Loading) -> None:
    clock.now += 3
    for text in ("Init parallel begin.", "Load weight begin.", "Memory pool end.", "Uvicorn running"):
        seen.line(LOG + text)
    clock.now += 2
    seen.tick()
    assert out.getvalue() == "   3 s  SGLang's scheduler has started\n   5 s  warming up\n"


def test_the_servers_own_sentences_are_shown_whole(out: io.StringIO, seen: Loading) -> None:
    seen.line("vllm: error: unknown flag --foo")
    assert out.getvalue() == "vllm: error: unknown flag --foo\n"
    assert list(seen.withheld) == []


def test_a_programs_line_is_kept_for_the_case_of_an_early_end(out: io.StringIO, seen: Loading) -> None:
    seen.line("[sglang-0] Traceback (most recent call last):")
    assert out.getvalue() == ""
    assert list(seen.withheld) == ["[sglang-0] Traceback (most recent call last):"]
