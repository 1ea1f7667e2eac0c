"""The measurements of several models: the stand-ins' device, what is read from it, and what the judge makes of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.mux import client, picture
from bench.mux.contenders import MODELS
from bench.mux.device import Device, Event, Stay, stays
from bench.mux.judge import ROWS
from bench.mux.table import main_table
from tests.server import ROOT, STAND_IN, free_port, wait_for

A, B = MODELS
NO_COSTS = {"STANDIN_LOAD_SECONDS": "0", "STANDIN_RELEASE_SECONDS": "0", "STANDIN_RESUME_SECONDS": "0"}
Start = Callable[[str], tuple[int, subprocess.Popen[bytes]]]


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path / "device")
    yield made
    made.clear()


@pytest.fixture
def start(device: Device) -> Iterator[Start]:
    begun: list[subprocess.Popen[bytes]] = []

    def one(model: str) -> tuple[int, subprocess.Popen[bytes]]:
        port = free_port()
        words = [*STAND_IN.split(), "--port", str(port), "--served-model-name", model]
        begun.append(subprocess.Popen(words, env=device.environment | NO_COSTS, cwd=ROOT))
        return port, begun[-1]

    yield one
    for process in begun:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    return asyncio.run(client.ask(port, "any")).is_right


def order(port: int, path: str) -> None:
    """As sglangmux orders it."""
    tags = {"tags": ["kv_cache", "weights"]} if "memory" in path else {}
    assert httpx.post(f"http://127.0.0.1:{port}/{path}", json=tags).status_code == 200


def test_a_second_one_on_the_device_dies_and_is_counted(device: Device, start: Start) -> None:
    port, _ = start(A)
    wait_for(lambda: listens(port), "the first serves")
    _, second = start(B)
    assert second.wait(60) == 1
    assert device.deaths == 1
    assert listens(port)


def test_who_was_there_when_is_read_from_the_device(device: Device, start: Start) -> None:
    port, first = start(A)
    wait_for(lambda: listens(port), "the first serves")
    assert int(subprocess.check_output(device.folder / "bin/nvidia-smi")) > 0
    order(port, "pause_generation")
    order(port, "release_memory_occupation")
    assert int(subprocess.check_output(device.folder / "bin/nvidia-smi")) == 0
    other, second = start(B)
    wait_for(lambda: listens(other), "the second serves")
    assert device.processes() == sorted((first.pid, second.pid))
    second.terminate()
    second.wait(60)
    order(port, "resume_memory_occupation")
    assert [stay.model for stay in device.stays(0)] == [A, B, A]
    assert device.deaths == 0


def test_one_that_was_killed_stayed_until_the_next_came() -> None:
    events = [Event(1, 7, A, "resident"), Event(5, 8, B, "resident"), Event(6, 8, B, "leaves"), Event(7, 8, B, "gone")]
    assert list(stays(events, 9)) == [Stay(A, 1, 5, 5), Stay(B, 5, 6, 7)]
    assert list(stays(events[:1], 9)) == [Stay(A, 1, 9, 9)]


def test_one_that_sleeps_and_ends_was_not_there() -> None:
    events = [Event(1, 7, A, "resident"), Event(2, 7, A, "gone"), Event(3, 8, B, "resident"), Event(4, 7, A, "leaves")]
    assert list(stays(events, 9)) == [Stay(A, 1, 2, 2), Stay(B, 3, 9, 9)]


def test_a_client_says_what_came_of_its_request(start: Start) -> None:
    assert asyncio.run(client.ask(free_port(), A)).outcome == client.REFUSED
    port, _ = start(A)
    wait_for(lambda: listens(port), "it serves")
    whole = asyncio.run(client.ask(port, A, 3, stream=True))
    assert (whole.outcome, whole.is_right) == (client.OK, True)
    order(port, "pause_generation")
    assert asyncio.run(client.ask(port, A, patience=0.2)).outcome == client.SILENT


def judged(scenario: str, what: str, **figures: Any) -> bool | None:
    [row] = [row for row in ROWS if row.scenario == scenario and row.what.startswith(what)]
    return row.judged([figures])


def test_the_judge_lets_nothing_pass_that_failed() -> None:
    assert judged("thrash", "", wall_s=4.9, wrong=0)
    assert not judged("thrash", "", wall_s=5.1, wrong=0)
    assert not judged("thrash", "", wall_s=1.0, wrong=1)
    assert judged("leave_switching", "and", after="200", deaths=0)
    assert not judged("leave_switching", "and", after="200", deaths=1)
    assert not judged("leave_switching", "a client", next="503", deaths=0)
    assert judged("steady", "two", longest_s=4.1, limit_s=4.2, wrong=0)
    assert not judged("steady", "two", longest_s=4.3, limit_s=4.2, wrong=0)
    assert not judged("sigterm", "", orphans=1, stream="200")
    assert not judged("sigterm", "", orphans=0, stream=client.BROKEN)
    assert judged("start", "start", open_s=1) is None


def test_who_missed_a_goal_is_named_and_the_worst_round_is_told() -> None:
    good = {"next": "200", "next_s": 1.0, "after": "200", "after_s": 1.0, "deaths": 0}
    bad = good | {"next": client.SILENT, "next_s": 15.0}
    text = main_table({"sglangmux": {"leave_switching": [bad]}, "disk": {"leave_switching": [good, bad, good]}})
    line = next(line for line in text.splitlines() if "during a switch" in line)
    assert line.count("**no answer** after 15.0 s") == 2
    assert line.endswith("| served: **missed** by ours, `tier: disk` |")


def test_the_readme_shows_the_last_run() -> None:
    document = json.loads((ROOT / "bench/results/mux.json").read_text())
    readme = (ROOT / "README.md").read_text()
    table = main_table(document["measured"])
    assert table in (ROOT / "bench/results/mux.md").read_text()
    assert table in readme
    assert "bench/results/mux.svg" in readme
    ET.fromstring((ROOT / "bench/results/mux.svg").read_text())


def test_the_picture_shows_each_stay_and_each_answer() -> None:
    load = {
        "wall_s": 3.0,
        "switches": 1,
        "drawn": {"stays": [[B, -1.0, 1.0, 1.2], [A, 1.3, 3.0, 3.0]], "answers": [[B, 0.5], [A, 2.5]]},
    }
    svg = picture.drawn({"sglangmux": load, "disk": load}, "today")
    assert svg.count("3.00 s, 1 switch<") == 2
    assert svg.count('fill="#bf8700"') == 2
    ET.fromstring(svg)
