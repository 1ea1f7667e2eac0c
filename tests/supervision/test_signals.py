"""A signal wakes a poll that would otherwise go on (PEP 475)."""

import os
import select
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from supervision.signals import Wake, held_signals, hold_signals, let_signals_through


@pytest.fixture
def quiet_signal() -> Iterator[signal.Signals]:
    before = signal.signal(signal.SIGUSR2, lambda *_: None)
    yield signal.SIGUSR2
    let_signals_through()
    signal.signal(signal.SIGUSR2, before)


def test_a_signal_ends_a_poll_without_end(quiet_signal: signal.Signals) -> None:
    dispatchers: dict[int, Any] = {}
    wake = Wake()
    wake.open(dispatchers)
    (fd,) = dispatchers
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    try:
        assert poll.poll(0) == []
        os.kill(os.getpid(), quiet_signal)
        assert poll.poll(30_000), "a byte for the signal"
        dispatchers[fd].handle_read_event()
        assert poll.poll(0) == []
        wake.poke()
        assert poll.poll(0)
    finally:
        wake.close()
    assert dispatchers == {}
    wake.poke()  # closed: nobody to wake, nothing raised


def test_a_held_signal_waits(quiet_signal: signal.Signals) -> None:
    hold_signals()
    signal.raise_signal(quiet_signal)  # for this thread, unlike os.kill
    assert signal.sigpending() == {quiet_signal}
    with held_signals():
        pass
    assert signal.sigpending() == {quiet_signal}, "held before, held after"
    let_signals_through()
    assert signal.sigpending() == set()
