"""What the next container says of the one before it, in the same log folder; and that no file can hurt it."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from supervision.previous import LONGEST_BYTES, report
from tests.supervision.programs import READY_THEN_SLEEP, ends_with
from tests.supervision.supervised import Container, eventually, processes_with

GIB = 1 << 30
LEFT: dict[str, Any] = {
    "version": 1,
    "host": socket.gethostname(),
    "started": 1_700_000_000.0,
    "updated": 1_700_000_090.4,
    "phase": "load",
    "since": 1_700_000_010.0,
    "memory_bytes": GIB,
    "peak_memory_bytes": 2 * GIB,
    "memory_limit_bytes": 8 * GIB,
    "oom_kills": 0,
    "programs": {},
    "ended": None,
}


def told(tmp_path: Path, **changed: object) -> str | None:
    file = tmp_path / "state.json"
    file.write_text(json.dumps({**LEFT, **changed}))
    return report(file)


def test_no_word_and_room_left_was_from_outside(tmp_path: Path) -> None:
    text = told(tmp_path)
    assert text is not None
    assert text.startswith("the container before this one ended without a word in phase load, 90 s after its start, at")
    assert text.endswith(
        "peak memory 2 GiB of 8 GiB, OOM kills 0: it was killed from outside (kill -9, or its node was lost)"
    )


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"oom_kills": 1}, ": probably the kernel ended it for memory (look for OOMKilled in"),
        ({"memory_bytes": 7 * GIB}, ": probably the kernel ended it for memory"),
        (
            {"peak_memory_bytes": 8 * GIB},
            ": the kernel ended it for memory (look for OOMKilled in `kubectl describe pod`), or",
        ),
        ({"memory_limit_bytes": None, "memory_bytes": 900 * GIB}, "2 GiB of no limit, OOM kills 0: it was killed from"),
        ({"phase": "stopping"}, ": it was killed before its stop was over (terminationGracePeriodSeconds is too short"),
        ({"peak_memory_bytes": None, "memory_bytes": None}, "peak memory unknown of 8 GiB"),
    ],
)
def test_what_the_memory_says_of_the_cause(tmp_path: Path, changed: dict[str, object], cause: str) -> None:
    text = told(tmp_path, **changed)
    assert text is not None
    assert cause in text


def test_an_end_in_order_is_no_news_and_another_is_one_line(tmp_path: Path) -> None:
    assert told(tmp_path, ended={"at": 1_700_000_100.0, "code": 0, "why": "it was asked to end"}) is None
    text = told(
        tmp_path, ended={"at": 1_700_000_100.0, "code": 37, "why": "sglang: exit code 37\n\x1b[31mno" + "x" * 999}
    )
    assert text is not None
    assert text.startswith("the container before this one ended with code 37 at 20")
    assert "\n" not in text
    assert "\x1b" not in text
    assert len(text) < 500


GARBAGE: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'{"version": 1}',
    b'{"version": 2, "ended": null}',
    json.dumps({**LEFT, "started": "soon"}).encode(),
    json.dumps({**LEFT, "updated": 1e300}).encode(),
    json.dumps({**LEFT, "updated": float("nan")}).encode(),
    json.dumps({**LEFT, "started": float("-inf")}).encode(),
    json.dumps({**LEFT, "ended": [1]}).encode(),
    json.dumps({**LEFT, "ended": {"code": "x"}}).encode(),
    json.dumps({**LEFT, "oom_kills": None}).encode(),
    json.dumps({**LEFT, "peak_memory_bytes": {}}).encode(),
    json.dumps({**LEFT, "memory_limit_bytes": "9" * 5000}).encode(),
    b"[" * 500_000,
    b'{"a":' * 200_000,
    json.dumps(LEFT).encode()[:-20],
    b"\xff" * 100,
    b" " * (LONGEST_BYTES + 1),
    random.Random(6).randbytes(100_000),
]


@pytest.mark.parametrize("content", GARBAGE, ids=lambda content: repr(content[:30]))
def test_garbage_is_no_news(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(content)
    assert report(file) is None


def test_what_is_no_file_of_ours_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(json.dumps(LEFT))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name in ("link", "fifo", "folder", "none"):
        assert report(tmp_path / name) is None
    assert report(Path("/dev/zero")) is None


def containers(tmp_path: Path, *sources: str) -> list[Container]:
    """One after another, over the same state file."""
    made = []
    for number, source in enumerate(sources):
        folder = tmp_path / str(number)
        folder.mkdir()
        places = (tmp_path / "state.json", tmp_path / "shim.log")
        made.append(Container(folder, engines="engine", state_file=places[0], shim_log=places[1]))
        made[-1].program("engine", source)
    return made


def test_after_a_kill_of_everything_the_next_container_says_so(tmp_path: Path) -> None:
    first, second, third = containers(tmp_path, *[READY_THEN_SLEEP] * 3)
    with first:
        first.said("serving")
        eventually(lambda: '"phase": "ready"' in (tmp_path / "state.json").read_text(), "ready")
        for pid in {first.pid, *processes_with(first.mark)}:  # as the kernel does, or `docker kill`
            os.kill(pid, signal.SIGKILL)
        assert first.exit_code() == -signal.SIGKILL
    with second:
        second.said(r"^\[supervisor\] the container before this one ended without a word in phase ready, \d+ s after")
        assert "ended without a word in phase ready" in (tmp_path / "shim.log").read_text()
        second.said("serving")
        second.send(signal.SIGTERM)
        assert second.exit_code() == 0
    with third:
        third.said("serving")
    assert "container before" not in third.output()


def test_after_a_failure_the_next_container_says_it_in_one_line(tmp_path: Path) -> None:
    first, second = containers(tmp_path, ends_with("sys.exit(37)"), READY_THEN_SLEEP)
    with first:
        assert first.exit_code() == 37
    with second:
        second.said(
            r"^\[supervisor\] the container before this one ended with code 37 at .*:"
            r" engine: exit code 37 in phase start; died before it was ready$"
        )


@pytest.mark.parametrize("content", [b"garbage", b"[" * 500_000])
def test_a_container_starts_over_garbage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    (only,) = containers(tmp_path, READY_THEN_SLEEP)
    with only:
        only.said("serving")
    assert "container before" not in only.output()
    assert json.loads((tmp_path / "state.json").read_text())["ended"]["code"] == 0


def test_what_another_pod_left_in_a_folder_of_both_is_not_this_ones_past(tmp_path: Path) -> None:
    assert told(tmp_path, host="another-pod") is None


def test_a_container_that_was_killed_while_it_ended_for_a_death_tells_the_death(tmp_path: Path) -> None:
    death = {"at": 1_700_000_050.0, "how": "signal SIGSEGV", "why": "lost after it had been ready", "phase": "ready"}
    text = told(
        tmp_path,
        phase="stopping",
        since=1_700_000_050.5,
        programs={"sglang": {"deaths": [death], "restarts": 0}},
    )
    assert text is not None
    assert text.endswith(": it was stopping, for sglang had died: signal SIGSEGV; lost after it had been ready")
