"""The real supervisord, haproxy and middleware over the stand-in: every process killed in turn, every way to stop."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.server import STAND_IN, Server, wait_for
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack
CHAT = {"model": "stand-in", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}
KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def test_the_middleware_is_replaced_and_no_connection_is_refused(ready: Server) -> None:
    """New connections wait in the socket that supervisord holds; only what was in flight is lost, with an error."""
    over, answers = threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            with httpx.Client(base_url=ready.url, timeout=60, trust_env=False) as client:
                answers.append(client.get("/v1/models").status_code)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    wait_for(lambda: len(answers) > 20, "answers before")
    dead = ready.pid("middleware")
    os.kill(dead, signal.SIGKILL)
    wait_for(lambda: ready.pid("middleware") not in (0, dead), "another middleware")
    before = len(answers)
    wait_for(lambda: len(answers) > before + 20, "answers after")
    over.set()
    for thread in asking:
        thread.join()
    assert set(answers) <= {200, 502, 503}
    # In flight at the kill, and on a kept connection that haproxy has not yet seen close: at most two a client.
    assert sum(answer != 200 for answer in answers) <= 2 * len(asking), answers
    wait_for(lambda: ready.health() == 200, "healthy again")


def test_haproxy_is_replaced(ready: Server) -> None:
    """Its listening socket is its own: connections are refused until the next one listens, and none is left hanging."""
    others = {name: ready.pid(name) for name in ("middleware", "sglang")}
    over, answers = threading.Event(), []

    def ask() -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            while not over.is_set():
                try:
                    answers.append(str(client.get(f"{ready.url}/v1/models").status_code))
                except (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
                    answers.append(type(error).__name__)

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    wait_for(lambda: len(answers) > 20, "answers before")
    dead = ready.pid("haproxy")
    os.kill(dead, signal.SIGKILL)
    wait_for(lambda: ready.pid("haproxy") not in (0, dead) and ready.health() == 200, "another haproxy")
    before = len(answers)
    wait_for(lambda: len(answers) > before + 20, "answers after")
    over.set()
    for thread in asking:
        thread.join()
    assert set(answers) - {"200"} <= {"ConnectError", "ReadError", "WriteError", "RemoteProtocolError"}
    assert set(answers[before + len(asking) :]) == {"200"}
    assert {name: ready.pid(name) for name in others} == others, "nobody else had to go"


def test_a_dead_engine_is_started_again_in_place_outside_kubernetes(ready: Server) -> None:
    dead = ready.pid("sglang")
    before = set(ready.processes())
    os.kill(dead, signal.SIGKILL)
    wait_for(lambda: ready.health() == 503, "/health to tell the truth")
    wait_for(lambda: ready.health() == 200, "the next engine")
    after = ready.processes()
    assert dead not in after
    assert len(after) == len(before), "the dead engine's children are gone"
    assert ready.client.post("/v1/chat/completions", json=CHAT).status_code == 200


def test_neither_a_restart_nor_a_new_container_mixes_an_earlier_lifes_samples_in(tmp_path: Path, serve: Serve) -> None:
    script = tmp_path / "engine.sh"
    script.write_text(
        'folder="$PROMETHEUS_MULTIPROC_DIR"\necho "in $folder: $(ls "$folder" | wc -l) files"\n'
        f'touch "$folder/counter_$$.db"\nexec {STAND_IN} "$@"\n'
    )
    engine = shlex.join(["/bin/sh", str(script)])
    first = serve("stand-in", engine=engine, env={"PROMETHEUS_MULTIPROC_DIR": "/tmp"})
    first.wait_ready()
    os.kill(first.pid("sglang"), signal.SIGKILL)
    wait_for(lambda: first.health() == 503, "/health to tell the truth")
    first.wait_ready()
    assert first.stop() == 0
    folder = first.run_dir / "prometheus/sglang"
    assert len(list(folder.iterdir())) == 1
    second = serve("stand-in", engine=engine, env={"VLLM_SHIM_RUN_DIR": str(first.run_dir)})
    second.wait_ready()
    assert (first.output + second.output).count(f"in {folder}: 0 files") == 3


@pytest.mark.parametrize(
    "children", [{}, {"STANDIN_CHILDREN_SETSID": "1"}], ids=["in its group", "in their own session"]
)
def test_a_dead_engine_ends_the_container_in_kubernetes_and_its_last_words_say_why(
    children: Mapping[str, str], serve: Serve
) -> None:
    server = serve("stand-in", env={**KUBERNETES, **children})
    server.wait_ready()
    os.kill(server.pid("sglang"), signal.SIGKILL)
    assert server.wait_end() == 128 + signal.SIGKILL
    tail = "".join(server.lines[-40:])
    assert "sglang: signal SIGKILL" in tail
    assert "exits with code 137" in server.lines[-1]
    assert server.processes() == {}


def test_an_engine_that_exits_at_start_ends_the_container_with_its_code_and_its_words(serve: Serve) -> None:
    server = serve("stand-in", env={"STANDIN_EXIT": "7", **KUBERNETES})
    assert server.wait_end() == 7
    tail = "".join(server.lines[-35:])
    assert "[sglang] " in tail
    assert "died before it was ready" in tail
    assert "sglang: exit code 7 in phase start; died before it was ready" in server.log.read_text()
    assert server.processes() == {}


def test_outside_kubernetes_a_start_that_failed_is_tried_again_within_the_budget(serve: Serve) -> None:
    server = serve("stand-in", env={"STANDIN_EXIT": "7"})
    assert server.wait_end() == 7
    assert "3 exits within 600 s" in server.lines[-2]
    assert server.output.count("INFO spawned: 'sglang'") == 3
    assert server.processes() == {}


def test_a_start_that_cannot_succeed_is_tried_once_and_the_last_words_say_what_to_do(
    tmp_path: Path, serve: Serve
) -> None:
    script = tmp_path / "engine.sh"
    script.write_text("echo 'RuntimeError: No HIP GPUs are available'\nkill -9 $$\n")
    server = serve("stand-in", engine=shlex.join(["/bin/sh", str(script)]))
    assert server.wait_end() == 137
    assert server.output.count("INFO spawned: 'sglang'") == 1
    assert "[supervisor] no GPU: " in server.lines[-2]
    assert "amd.com/gpu" in server.lines[-2]
    assert "[supervisor] no GPU: " in server.log.read_text()


def test_the_container_after_one_that_was_killed_says_so(tmp_path: Path, serve: Serve) -> None:
    volume = {"VLLM_SHIM_LOG_DIR": str(tmp_path / "volume")}
    first = serve("stand-in", env=volume)
    first.wait_ready()
    state = tmp_path / "volume/state.json"
    wait_for(lambda: json.loads(state.read_text())["phase"] == "ready", "the state file to say ready")
    for pid in first.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert first.wait_end() == -signal.SIGKILL
    second = serve("stand-in", env=volume)
    second.wait_ready()
    assert "[supervisor] the container before this one ended without a word in phase ready" in second.output
    assert "ended without a word in phase ready" in second.log.read_text()
    assert second.stop() == 0
    assert json.loads(state.read_text())["ended"]["code"] == 0


def test_an_engine_that_keeps_dying_exhausts_its_budget(ready: Server) -> None:
    for _ in range(3):
        wait_for(lambda: ready.process.poll() is not None or ready.health() == 200, "ready")
        os.kill(ready.pid("sglang"), signal.SIGKILL)
        wait_for(lambda: ready.process.poll() is not None or ready.health() == 503, "the death to be seen")
    assert ready.wait_end() == 137
    assert "3 exits within 600 s" in ready.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_the_engine_loads_ends_all_with_0(number: signal.Signals, serve: Serve) -> None:
    server = serve("stand-in", env={"STANDIN_LOAD_SECONDS": "3600"})
    wait_for(lambda: server.health() == 503, "loading")
    assert server.stop(number) == 0
    assert server.processes() == {}


@pytest.mark.parametrize(
    ("said", "later"),
    [
        ("", 0.0),
        ("", 0.2),
        ("vllm-to-sglang ", 0.0),
        *((f"spawned: '{name}'", 0.0) for name in ("sglang", "middleware")),
        *(("spawned: 'haproxy'", later) for later in (0.0, 0.1, 0.2, 0.3, 0.5)),
    ],
)
def test_a_signal_at_any_moment_of_the_start_ends_all_and_nobody_has_to_be_killed(
    said: str, later: float, serve: Serve
) -> None:
    """haproxy's master (2.6.12) lost the signal of its first moments, and the drain waited for nothing."""
    server = serve("stand-in")
    wait_for(lambda: said in server.output, said)
    time.sleep(later)
    # Before supervisord there is nothing to stop, and the signal ends the shim itself.
    assert server.stop() in ((0,) if "spawned" in said else (0, -signal.SIGTERM))
    assert "killing" not in server.output
    # The check of haproxy's configuration may be under way, and ends by itself.
    wait_for(lambda: server.processes() == {}, "all to be gone")


def test_sigterm_when_idle_stops_haproxy_then_the_middleware_then_the_engine(ready: Server) -> None:
    assert ready.stop() == 0
    stopped = [line.split("stopped: ")[1].split()[0] for line in ready.lines if "stopped: " in line]
    assert stopped == ["haproxy", "middleware", "sglang"]
    assert ready.processes() == {}


def test_sigterm_lets_running_streams_end_whole(ready: Server) -> None:
    tails: list[str] = []
    started = threading.Barrier(5, timeout=60)

    def stream() -> None:
        with (
            httpx.Client(base_url=ready.url, timeout=60, trust_env=False) as client,
            client.stream(
                "POST",
                "/v1/chat/completions",
                json={**CHAT, "stream": True, "max_tokens": 40},
                headers={"x-standin-delay-ms": "100"},
            ) as answer,
        ):
            lines = answer.iter_lines()
            next(lines)
            started.wait()
            tails.append([line for line in lines if line][-1])

    threads = [threading.Thread(target=stream) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    assert ready.stop() == 0
    for thread in threads:
        thread.join()
    assert tails == ["data: [DONE]"] * 4
