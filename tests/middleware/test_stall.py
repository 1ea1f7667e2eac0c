"""When an engine counts as wedged: by its own counters, and only while somebody waits for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from middleware.engine import Engine, State
from middleware.flow import Flow
from middleware.policy import Policy
from middleware.stall import Stall, counters
from middleware.upstream import ConnectFailed, UpstreamClosed
from tests.fakes.recorded import Recorded

WATCHDOG = 300
# What 0.5.23 tells before its first step.
NOTHING_DONE_YET = b'sglang:prefill_effective_tokens_total{mode="input"} 0.0\n'


class Sglang:
    """Its /metrics, and what the requests that wait for it see of it; `at(second)` is one look."""

    def __init__(self, word: Path | None = None, *, stall_seconds: int = 0, active: int = 1) -> None:
        self.running, self.tokens = 1, 100
        self.failure: Exception | None = None
        self.text: bytes | None = None
        self.scrapes = 0
        self.meanwhile: Callable[[], None] = lambda: None  # what happens while it is asked
        self.flow, self.engine = Flow(), Engine()
        self.flow.active = active
        self.engine.become(State.READY, "the test says so")
        policy = Policy(watchdog_seconds=WATCHDOG, stall_seconds=stall_seconds)
        self.ready = word and word.with_suffix("")
        if self.ready is not None:
            self.ready.touch()
        self._stall = Stall(self.engine, self.flow, self.fetch, policy, self.ready, word)

    async def fetch(self) -> tuple[int, bytes]:
        self.scrapes += 1
        self.meanwhile()
        if self.failure is not None:
            raise self.failure
        return 200, Recorded("m").metrics(self.running, self.tokens) if self.text is None else self.text

    def at(self, second: float) -> float:
        asyncio.run(self._stall.look(second))
        return self.engine.stalled_seconds

    def through(self, first: int, last: int) -> float:
        return [self.at(second) for second in range(first, last + 1)][-1]


@pytest.fixture
def word(tmp_path: Path) -> Path:
    return tmp_path / "sglang.a.stalled"


def test_the_counters_are_those_of_a_real_sglang() -> None:
    found = counters(Recorded("m").metrics(3, 17))
    assert found is not None
    assert (found.work, found.progress) == (3, 17.0)


def test_ranks_are_summed_whatever_their_labels_hold() -> None:
    text = b"""\
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{dp_rank="0",model_name="a} 9"} 1.0
sglang:num_running_reqs{dp_rank="1",model_name="a\\"b"} 2
sglang:num_queue_reqs 4.0
sglang:realtime_tokens_total{mode="decode"} 1.5e+06
sglang:realtime_tokens_total{mode="prefill_compute"} 2.0
sglang:prefill_effective_tokens_total{mode="input"} 3.0
"""
    found = counters(text)
    assert found is not None
    assert (found.work, found.progress) == (7, 1500005.0)


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
@pytest.mark.parametrize("name", ["sglang:num_running_reqs", "sglang:realtime_tokens_total"])
def test_what_is_no_number_does_not_tell(name: str, value: str) -> None:
    good = b"sglang:num_running_reqs 1.0\nsglang:realtime_tokens_total 1.0\n"
    assert counters(good) is not None
    assert counters(good + f'{name}{{dp_rank="1"}} {value}\n'.encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"sglang:num_running_reqs 1.0\n",
        b"sglang:num_running_reqs +-\n",
        b"sglang:prefill_effective_tokens_total 5.0\n",
    ],
)
def test_what_does_not_tell_is_not_read(text: bytes) -> None:
    assert counters(text) is None


def test_no_progress_for_longer_than_the_watchdog_is_a_stall_and_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    sglang = Sglang(active=2)
    assert sglang.through(1000, 1000 + WATCHDOG - 1) == 0.0
    assert sglang.through(1000 + WATCHDOG, 1400) == 400.0
    assert caplog.text.count("stalled: no token for 300 s while 1 request ran or waited") == 1
    sglang.flow.last = 1401.0
    assert sglang.at(1402) == 0.0
    assert caplog.text.count("no longer stalled after 400 s") == 1


def test_nothing_is_asked_while_nobody_waits_or_answers_come() -> None:
    sglang = Sglang(active=0)
    sglang.through(0, 500)
    sglang.flow.active = 1
    for second in range(500, 1500):
        sglang.flow.last = float(second)
        sglang.at(second)
    assert sglang.scrapes == 0


def test_a_request_after_an_idle_hour_is_not_stalled_for_an_hour() -> None:
    sglang = Sglang(active=0)
    sglang.flow.last = 10.0
    sglang.at(3600)
    sglang.flow.active = 1
    assert sglang.through(3600, 3600 + WATCHDOG - 1) == 0.0


def test_a_silent_request_that_makes_tokens_is_no_stall_and_is_seldom_asked_about() -> None:
    sglang = Sglang()
    for second in range(2000):
        sglang.tokens += 1
        assert sglang.at(second) == 0.0
    assert sglang.scrapes < 2000 / 25


def test_a_stall_ends_when_tokens_come_or_nothing_is_left_to_do() -> None:
    for change in ("tokens", "running"):
        sglang = Sglang()
        assert sglang.through(0, 400) == 400.0
        setattr(sglang, change, 0)
        sglang.flow.active = int(change != "running")
        assert sglang.through(401, 420) == 0.0


def test_a_wedge_in_the_first_step_after_idle_hours_is_one_though_sglang_counts_no_request() -> None:
    sglang = Sglang(active=5)
    sglang.running = 0
    assert sglang.through(0, 2000) == 2000.0
    sglang.flow.active = 0
    assert sglang.through(2001, 2010) == 0.0


@pytest.mark.parametrize("text", [NOTHING_DONE_YET, b"sglang:realtime_tokens_total 7.0\n"])
def test_a_wedge_in_the_very_first_step_is_one_where_sglang_has_not_told_all_its_numbers_yet(text: bytes) -> None:
    sglang = Sglang()
    sglang.text = text
    assert sglang.through(0, 400) == 400.0


def test_an_embedding_engine_that_works_is_never_stalled() -> None:
    """Each of its batches is a prefill, and SGLang 0.5.23 counts its tokens as any other's; it need not tell more."""
    sglang = Sglang()
    for second in range(2000):
        sglang.text = f'sglang:realtime_tokens_total{{mode="prefill_compute"}} {second // 25}\n'.encode()
        assert sglang.at(second) == 0.0


def test_an_answer_that_comes_while_we_ask_is_no_stall() -> None:
    sglang = Sglang()
    assert sglang.through(0, WATCHDOG - 11) == 0.0
    sglang.failure = TimeoutError()
    sglang.meanwhile = lambda: setattr(sglang.flow, "last", float(WATCHDOG))
    assert sglang.at(WATCHDOG) == 0.0


def test_clients_that_give_up_in_between_hide_nothing() -> None:
    sglang = Sglang()
    for second in range(WATCHDOG + 50):
        sglang.flow.active = int(second % 20 < 10)
        sglang.at(second)
    assert sglang.engine.stalled_seconds


@pytest.mark.parametrize("failure", [TimeoutError(), UpstreamClosed()])
def test_an_engine_that_does_not_even_say_how_it_is_is_stalled_too(failure: Exception) -> None:
    sglang = Sglang()
    sglang.failure = failure
    sglang.engine.become(State.GONE, "its /health did not answer")
    assert sglang.through(0, 400) == 400.0


def test_nobody_there_is_dead_and_not_stalled() -> None:
    sglang = Sglang()
    sglang.failure = ConnectFailed()
    assert sglang.through(0, 1000) == 0.0


@pytest.mark.parametrize("text", [b"", b"sglang:num_running_reqs 1.0\nsglang:generation_tokens_total 5.0\n"])
def test_an_sglang_that_does_not_tell_is_never_stalled(text: bytes) -> None:
    sglang = Sglang()
    sglang.text = text
    assert sglang.through(0, 1000) == 0.0


@pytest.mark.parametrize("state", [State.PAUSED, State.ASLEEP])
def test_a_paused_engine_is_silent_because_it_was_told_to_be(state: State) -> None:
    sglang = Sglang()
    assert sglang.through(0, 400) == 400.0
    sglang.engine.become(state, "training")
    assert sglang.through(401, 1000) == 0.0
    sglang.engine.become(State.READY, "goes on")
    assert sglang.through(1001, 1001 + WATCHDOG - 1) == 0.0


def test_word_is_left_for_supervision_only_where_the_operator_wants_it(word: Path) -> None:
    sglang = Sglang(word)
    assert sglang.through(0, 2000) == 2000.0
    assert not word.exists()


def test_word_names_the_life_and_is_repeated_as_long_as_the_stall_lasts(
    word: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sglang = Sglang(word, stall_seconds=600)
    assert sglang.ready is not None
    life = sglang.ready.stat().st_mtime_ns
    sglang.through(0, 599)
    assert not word.exists()
    sglang.at(600)
    assert word.read_text() == f"{life}\nwedged: no token for 600 s while 1 request ran or waited\n"
    assert word.stat().st_mode & 0o777 == 0o600
    for last in (620, 640):
        word.unlink()
        sglang.through(last - 19, last)
        assert word.exists()
    assert caplog.text.count("to be ended") == 1
    word.unlink()
    sglang.flow.last = 641.0
    sglang.through(642, 1200)
    assert not word.exists()
    sglang.through(1201, 1300)
    assert word.exists()


def test_word_that_could_not_be_written_is_written_later(word: Path) -> None:
    sglang = Sglang(word, stall_seconds=600)
    word.mkdir()
    sglang.through(0, 650)
    word.rmdir()
    sglang.through(651, 700)
    assert word.is_file()


def test_no_word_is_left_of_an_engine_that_died_since_the_last_look(word: Path) -> None:
    sglang = Sglang(word, stall_seconds=305)
    sglang.through(0, 301)
    sglang.failure = ConnectFailed()
    sglang.flow.active = 0
    sglang.engine.become(State.GONE, "nothing answers on its port")
    assert sglang.through(302, 2000) == 0.0
    assert not word.exists()


def test_the_silence_of_one_life_is_none_of_the_next_one_that_has_done_as_much(word: Path) -> None:
    sglang = Sglang(word, stall_seconds=305)
    assert sglang.ready is not None
    sglang.through(0, 301)
    os.utime(sglang.ready, (1, 1))
    assert sglang.through(302, 500) == 0.0
    assert not word.exists()
    sglang.through(501, 700)
    assert word.read_text().startswith("1000000000\n")


def test_the_operators_limit_may_be_shorter_than_the_watchdogs(word: Path) -> None:
    sglang = Sglang(word, stall_seconds=20)
    assert sglang.through(0, 20) == 20.0
    assert word.exists()


def test_it_goes_on_after_a_look_that_failed_as_nobody_thought(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Stall):
        __slots__ = ()

        async def look(self, now: float) -> None:
            raise IndexError

    async def main() -> None:
        sglang = Sglang()
        stall = Failing(sglang.engine, sglang.flow, sglang.fetch, Policy(), None, None)
        running = asyncio.create_task(stall.run())
        await asyncio.sleep(0.1)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
    assert "looking whether the engine is stalled failed" in caplog.text
