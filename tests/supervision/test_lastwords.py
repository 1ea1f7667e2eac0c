"""What is said at the end, and what fits into a termination log."""

import signal
from pathlib import Path

import pytest

from supervision.lastwords import TERMINATION_LOG_BYTES, Loss, compose, describe, write_termination_log


def exited(code: int) -> int:
    return code << 8


@pytest.mark.parametrize(
    ("status", "how", "code"),
    [
        pytest.param(exited(37), "exit code 37", 37, id="its-own-code"),
        pytest.param(exited(0), "exit code 0", 1, id="a-lost-program-is-never-success"),
        pytest.param(int(signal.SIGKILL), "signal SIGKILL", 137, id="signal"),
        pytest.param(signal.SIGSEGV | 0x80, "signal SIGSEGV (core dumped)", 139, id="core"),
        pytest.param(int(signal.SIGRTMIN) + 1, f"signal {signal.SIGRTMIN + 1}", 163, id="a-signal-without-a-name"),
        pytest.param(None, "could not be started", 1, id="never-started"),
    ],
)
def test_how_it_ended(status: int | None, how: str, code: int) -> None:
    assert describe(status) == (how, code)


def test_the_cause_stands_last() -> None:
    loss = Loss("sglang", "exit code 37", "died before it was ready", 37)
    assert compose(loss, ["loading", "boom"]).splitlines() == [
        "[supervisor] the last 2 lines of sglang:",
        "[sglang] loading",
        "[sglang] boom",
        "[supervisor] sglang: exit code 37; died before it was ready",
        "[supervisor] the container exits with code 37",
    ]
    assert compose(loss, []).startswith("[supervisor] sglang said nothing\n")


def test_a_long_text_keeps_its_end_and_starts_with_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.write_text("of the last container" * 1000)
    write_termination_log(log, "".join(f"line {number} \N{SNOWMAN}\n" for number in range(1000)))
    kept = log.read_text()
    assert len(kept.encode()) <= TERMINATION_LOG_BYTES
    assert kept.startswith("line ")
    assert kept.endswith("line 999 \N{SNOWMAN}\n")


def test_one_endless_line_keeps_its_end_too(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    log.touch()
    write_termination_log(log, "x" * 10_000 + "end\n")
    assert log.stat().st_size == TERMINATION_LOG_BYTES
    assert log.read_text().endswith("xend\n")


def test_no_file_is_made_and_no_link_followed(tmp_path: Path) -> None:
    write_termination_log(tmp_path / "missing", "words")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    (tmp_path / "link").symlink_to(elsewhere)
    write_termination_log(tmp_path / "link", "words")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "link"]
    assert elsewhere.read_text() == "untouched"
