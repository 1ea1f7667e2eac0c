"""Probe torture: /health every 50 ms from before the start to after the end, through load, full traffic, a killed
engine, its restart in place and SIGTERM. The answers and a picture of them are left in .cache/probes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.bodies import MODEL
from bench.quantiles import quantile
from bench.streams import Asked
from tests.engine.conftest import LAUNCH, LOAD_SECONDS
from tests.engine.conftest import MODEL as REAL_MODEL
from tests.server import PATIENCE, ROOT, STAND_IN, Server, serving
from tests.soak.probe_picture import drawn
from tests.soak.probes import HEALTH, PROBE_SECONDS, REFUSED, SERVES, Story, watched

pytestmark = pytest.mark.soak

RESULTS = ROOT / ".cache/probes"
CHECK_INTERVAL = 1.0  # what a death may take to be seen
AT_ONCE = 0.25  # what a signal may take, from supervisord to haproxy
PHASE = 8.0  # seconds of each kind of traffic
DRAINED = 4.0  # of the streams that run at SIGTERM


@dataclass(frozen=True)
class Torture:
    """An engine, and the traffic that fills it."""

    name: str
    title: str
    model: str
    engine: str
    load: dict[str, object]
    full: dict[str, object]
    seconds: float = PATIENCE  # until it serves
    env: dict[str, str] = field(default_factory=dict)


def long_prompts(tokens: int) -> str:
    message = {"role": "user", "content": "The sea is wide and blue. " * 200}
    return json.dumps({"model": MODEL, "messages": [message], "stream": True, "max_tokens": tokens, "ignore_eos": True})


TORTURES = (
    Torture(
        "stand-in", "/health while a stand-in", "org/model", STAND_IN,
        load={"streams": 64, "tokens": 50}, full={"streams": 512, "tokens": 20},
        # It is away for four seconds after each start, its port closed for as long.
        env={"STANDIN_LOAD_SECONDS": "4", "STANDIN_LOAD_REFUSES": "1", "STANDIN_DELAY_MS": "20", "STANDIN_QUIET": "1"},
    ),
    Torture(
        "SGLang", "/health while a real SGLang", str(REAL_MODEL), LAUNCH,
        load={"streams": 4, "body": long_prompts(16)}, full={"streams": 48, "body": long_prompts(8)},
        seconds=LOAD_SECONDS, env={"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 8192"},
    ),
)  # fmt: skip


@contextlib.contextmanager
def traffic(server: Server, what: dict[str, object]) -> Iterator[None]:
    """As many streams as it says, begun anew when all have ended, from a process of its own."""
    asked = dataclasses.asdict(Asked(port=server.port, streams=0, tokens=0, pace_ms=0.0, repeats=1000))
    with subprocess.Popen(
        [sys.executable, "-m", "bench.streams", json.dumps(asked | what)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT,
    ) as client:  # fmt: skip
        try:
            yield
        finally:
            client.kill()


def wait_for_health(server: Server, story: Story, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while [one.said for one in story.answers[HEALTH][-1:]] != [SERVES]:
        assert server.process.poll() is None, server.output
        assert time.monotonic() < deadline, f"/health is not 200 within {seconds:.0f} s\n{server.output}"
        time.sleep(0.01)


@dataclass
class Moments:
    ready: float = 0.0
    killed: float = 0.0
    again: float = 0.0
    stopped: float = 0.0
    over: float = 0.0


def tortured(server: Server, story: Story, torture: Torture) -> Moments:
    moments = Moments()
    story.happens("start")
    wait_for_health(server, story, torture.seconds)
    moments.ready = story.happens("ready")
    with traffic(server, torture.load):
        story.happens("load")
        time.sleep(PHASE)
    with traffic(server, torture.full):
        story.happens("full traffic")
        time.sleep(PHASE)
        engine = server.pid("sglang")
        moments.killed = story.happens("kill -9")
        os.kill(engine, signal.SIGKILL)
        time.sleep(CHECK_INTERVAL)
    wait_for_health(server, story, torture.seconds)
    moments.again = story.happens("ready again")
    with traffic(server, torture.load):
        time.sleep(PHASE / 2)
        moments.stopped = story.happens("SIGTERM")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(DRAINED)
    server.wait_end()
    moments.over = story.happens("ended")
    time.sleep(0.5)
    return moments


@pytest.mark.parametrize("torture", TORTURES, ids=lambda torture: torture.name)
def test_health_tells_the_truth_whatever_happens(torture: Torture, tmp_path: Path) -> None:
    env = {"VLLM_SHIM_ENGINE_RESTART": "in-place", "VLLM_SHIM_LAME_DUCK_SECONDS": "3", **torture.env}
    words = (torture.model, "--served-model-name", MODEL, "--max-model-len", "2048", "--max-num-seqs", "8")
    with serving(tmp_path, *words, engine=torture.engine, env=env) as server, watched(server.port) as story:
        try:
            moments = tortured(server, story, torture)
        finally:
            RESULTS.mkdir(parents=True, exist_ok=True)
            story.write(RESULTS / f"{torture.name}.csv")
    (RESULTS / f"{torture.name}.svg").write_text(
        drawn(story, f"{torture.title} loads, serves, is killed, comes back and stops")
    )
    judged(story, moments)


def judged(story: Story, moments: Moments) -> None:
    first, again = story.engine_is_back(0.0), story.engine_is_back(moments.killed + CHECK_INTERVAL)
    assert first is not None
    assert again is not None
    before = [one for one in story.health(until=moments.ready) if one.said == SERVES and one.ended < first]
    assert not before, f"200 before SGLang served: {before[:3]}"
    serving_ = story.health(moments.ready, moments.killed) + story.health(moments.again, moments.stopped)
    wrong = [one for one in serving_ if one.said != SERVES]
    assert not wrong, f"{len(wrong)} of {len(serving_)} were not 200 while it served: {wrong[:3]}"
    lies = [one for one in story.health(moments.killed + CHECK_INTERVAL, again) if one.said == SERVES]
    assert not lies, f"200 while the engine was gone: {lies[:3]}"
    gone = [one for one in story.health(moments.killed) if one.said != SERVES]
    print(f"seen dead after {(gone[0].began - moments.killed) * 1000:.0f} ms, back after {moments.again - again:.2f} s")
    ended = story.health(moments.stopped)
    late = [one for one in ended if one.said == SERVES and one.began > moments.stopped + AT_ONCE]
    assert not late, f"200 after SIGTERM: {late[:3]}"
    refused = next((one.began for one in ended if one.said == REFUSED), moments.over)
    odd = [one for one in ended if one.began < refused and one.said not in (SERVES, "503")]
    assert not odd, f"something else than 503 before haproxy was gone: {odd[:3]}"
    last = max((one.began for one in ended if one.said == SERVES), default=moments.stopped)
    print(f"503 from {(last - moments.stopped) * 1000:.0f} ms after SIGTERM, for {refused - moments.stopped:.1f} s")
    times = [one.ms for one in serving_]
    print(f"{len(times)} probes while it served: p50 {quantile(times, 0.5):.1f} ms, longest {max(times):.0f} ms")
    assert max(times) < PROBE_SECONDS * 1000
