"""An engine that could not bind its port, and waits for ever: it would look like one that loads."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path

from tests.supervision.supervised import Container, is_alive

# As SGLang 0.5.23 says it.
SAYS = "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8001): address already in use"
FIRED_UP = "The server is fired up and ready to roll!"


def test_it_is_ended_and_the_last_words_name_the_port(tmp_path: Path) -> None:
    container = Container(tmp_path, engines="engine")
    container.program("engine", f'import time\nprint("{SAYS}", flush=True)\ntime.sleep(600)\n')
    with container:
        assert container.exit_code() == 128 + signal.SIGKILL
    words = "\n".join(container.last_lines(4))
    assert "it failed and has not ended for 5 s; died before it was ready" in words
    assert "port taken: " in words


def test_what_an_engine_or_a_worker_rank_that_serves_logs_ends_nothing(tmp_path: Path) -> None:
    """One beside the other: each takes longer than a stuck one is given."""
    serves = {"engine": 'pathlib.Path("ready/engine").touch()', "rank": f'print("{FIRED_UP}", flush=True)'}
    late = f'time.sleep(1.5)\nprint("{SAYS}", flush=True)\ntime.sleep(7)\nprint("on")\ntime.sleep(600)\n'
    containers = []
    with ExitStack() as stack:
        for name, sign in serves.items():
            (tmp_path / name).mkdir()
            rank = "yes" if name == "rank" else "no"
            container = Container(tmp_path / name, engines="engine", worker_rank=rank)
            container.program("engine", f"import pathlib, time\n{sign}\n{late}")
            containers.append(stack.enter_context(container))
        for container in containers:
            container.said(r"^\[engine\] on$")
            assert is_alive(container.spawned("engine"))
