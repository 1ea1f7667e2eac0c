"""docs/life.svg: the life of a pod as a kubelet with the chart's probes sees it, measured on the real engine: load,
ready, the engine killed, exit, back-off, load, ready, SIGTERM. `make picture` draws it in about four minutes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import httpx

from bench.svg import INK, PALE, RULE, Canvas
from tests.life.kubelet import CHART, Kubelet, Life
from tests.server import ROOT, Server, free_port, wait_for

MODEL = ROOT / ".engine/SmolLM2-135M-Instruct"
PATIENCE = 300.0
WIDTH, LEFT, RIGHT, TOP = 980.0, 108.0, 176.0, 92.0
ROW = 34.0
GREEN, AMBER, RED, BLUE = "#1a7f37", "#bf8700", "#cf222e", "#0969da"
PHASES = {
    "start": "#b6c2cf",
    "download": "#8ba3bc",
    "load": "#6d8fb3",
    "compile": "#5a7da6",
    "graph capture": "#4a6d99",
}
LATER_PHASE = "#3a5f8f"
TITLE = "The life of a pod: load, ready, crash, exit, back-off, load, ready, SIGTERM"


def lived(folder: Path) -> Life:
    port = free_port()
    env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "VLLM_SHIM_LAME_DUCK_SECONDS": "5"}
    words = (str(MODEL), "--served-model-name", "smollm2", "--max-model-len", "2048")

    def start() -> Server:
        return Server(folder, *words, engine=str(ROOT / "cpu_engine/launch"), env=env, port=port)

    with Kubelet(start) as kubelet:
        wait_for(lambda: kubelet.is_ready, "the pod to be ready", PATIENCE)
        time.sleep(20)
        first = kubelet.server.process.pid
        scheduler = next(pid for pid, words in kubelet.server.processes().items() if "scheduler" in words)
        kubelet.happens("kill -9 of the scheduler")
        os.kill(scheduler, signal.SIGKILL)
        wait_for(lambda: kubelet.server.process.pid != first, "another container", PATIENCE)
        wait_for(lambda: kubelet.is_ready, "the pod to be ready again", PATIENCE)
        time.sleep(10)
        stream = threading.Thread(target=_stream, args=(kubelet.server.url,))
        stream.start()
        time.sleep(2)
        kubelet.happens("SIGTERM, while a stream runs")
        kubelet.server.process.terminate()
        kubelet.server.wait_end(60)
        stream.join()
        time.sleep(1)
    return kubelet.life


def _stream(url: str) -> None:
    body = {"model": "smollm2", "prompt": "Once", "max_tokens": 600, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=120, trust_env=False) as answer:
        for _ in answer.iter_lines():
            pass


def spans(readings: list[tuple[float, str]], end: float) -> Iterator[tuple[float, float, str]]:
    """From readings at moments: how long each value held."""
    changes = [one for before, one in pairwise([(0.0, ""), *readings]) if one[1] != before[1]]
    for (begin, what), (until, _) in pairwise([*changes, (end, "")]):
        yield begin, until, what


def phases(life: Life) -> list[tuple[float, str]]:
    """A single reading without a phase is none: haproxy forgets it in the moment in which it asks for it."""
    said = [(one.at, "ready" if one.said == "200" else one.phase) for one in life.health]
    return [one for one, after in pairwise([*said, (0.0, "")]) if one[1] or not after[1]]


def drawn(life: Life) -> str:
    end = max(one.at for one in life.health)
    rows = ["container", "engine", "/health", *(f"{probe.name} probe" for probe in CHART), "Ready"]
    base = TOP + len(rows) * ROW

    def across(seconds: float) -> float:
        return LEFT + seconds / end * (WIDTH - LEFT - RIGHT)

    canvas = Canvas(WIDTH, base + 74, TITLE)
    canvas.text(20, 30, TITLE, size=17, bold=True)
    canvas.text(
        20, 50, "The real SGLang on a CPU, with the probes and the back-off of the chart's defaults.", fill=PALE
    )
    places = {name: TOP + number * ROW for number, name in enumerate(rows)}
    for name, y in places.items():
        canvas.text(LEFT - 10, y + 14, name, size=11.5, fill=PALE, anchor="end")
        canvas.line([(LEFT, y + 26), (WIDTH - RIGHT, y + 26)], RULE)
    _containers(canvas, life, places["container"], across, end)
    for begin, until, phase in spans(phases(life), end):
        if phase:
            colour = GREEN if phase == "ready" else PHASES.get(phase, LATER_PHASE)
            canvas.rect(across(begin), places["engine"], across(until) - across(begin), 20, colour)
            if across(until) - across(begin) > 7 * len(phase):
                canvas.text(across(begin) + 4, places["engine"] + 14, phase, size=11, fill="#ffffff")
    for begin, until, said in spans([(one.at, one.said) for one in life.health], end):
        colour = {"200": GREEN, "503": AMBER}.get(said, RED)
        canvas.rect(across(begin), places["/health"], across(until) - across(begin), 20, colour)
        if across(until) - across(begin) > 30:
            canvas.text(across(begin) + 4, places["/health"] + 14, said, size=11, fill="#ffffff")
    for probe in CHART:
        y = places[f"{probe.name} probe"] + 10
        for good, colour in ((True, GREEN), (False, RED)):
            canvas.dots(
                [(across(at), y) for at, name, was in life.probes if (name, was) == (probe.name, good)], colour, 4
            )
        said = f"{probe.failures} x {probe.period:g} s = {probe.budget:g} s may fail"
        canvas.text(WIDTH - RIGHT + 8, y + 4, said, size=11, fill=PALE)
    for begin, until, said in spans([(at, "Ready" if good else "") for at, good in life.ready], end):
        if said:
            canvas.rect(across(begin), places["Ready"], across(until) - across(begin), 20, BLUE)
    for at, what in life.events:
        canvas.line([(across(at), TOP - 14), (across(at), base)], INK, dash="3 3")
        canvas.text(across(at) + 4, TOP - 12, what, size=11.5)
    for tick in range(0, int(end) + 1, 20):
        canvas.text(across(tick), base + 16, f"{tick} s", size=11, fill=PALE, anchor="middle")
    x = LEFT
    for words, colour in (("200, or a probe that succeeds", GREEN), ("503", AMBER), ("refused, or fails", RED)):
        canvas.dots([(x + 4, base + 46)], colour, 4)
        canvas.text(x + 12, base + 50, words, size=11.5)
        x += 30 + 7 * len(words)
    return canvas.rendered()


def _containers(canvas: Canvas, life: Life, y: float, across: Callable[[float], float], end: float) -> None:
    for number, (begin, until, code) in enumerate(life.containers):
        canvas.rect(across(begin), y, across(until or end) - across(begin), 20, INK)
        canvas.text(across(begin) + 4, y + 14, f"container {number + 1}", size=11, fill="#ffffff")
        if code is not None and until is not None:
            canvas.text(across(until) - 4, y + 14, f"exit {code}", size=11, fill="#ffffff", anchor="end")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        life = lived(Path(folder))
    (ROOT / ".cache").mkdir(exist_ok=True)
    (ROOT / ".cache/life.json").write_text(json.dumps(asdict(life)))
    (ROOT / "docs/life.svg").write_text(drawn(life))
    print("\n".join(f"{at:7.1f} s  {what}" for at, what in life.events))
    print(*life.containers, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
