"""The container's standard output, through the real supervisord."""

from pathlib import Path

from tests.supervision.supervised import Container

FAST = """
import os, sys
for number in range(20000):
    print("stdout line %d of a log" % number)
    if number % 100 == 0:
        sys.stdout.flush()
        sys.stderr.write("half an error ... ")
        sys.stderr.flush()
        sys.stderr.write("%d\\n" % number)
sys.stdout.write("no newline at the end")
"""


def test_20000_lines_at_full_speed_arrive_whole_and_prefixed(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program(
        "sglang",
        FAST,
        autorestart="false",
        redirect_stderr="false",
        stdout_logfile_maxbytes="200KB",
        stdout_logfile_backups=9,
        stderr_logfile=tmp_path / "errors.log",
    )
    container.program("quiet", "/bin/sh -c 'echo one; sleep 600'", stdout_logfile="NONE")
    with container:
        container.said(r"^\[sglang\] no newline at the end$")
        container.said(r"^\[quiet\] one$")
    said = [line.removeprefix("[sglang] ") for line in container.output().splitlines() if line.startswith("[sglang] ")]
    assert [line for line in said if line.startswith("stdout")] == [
        f"stdout line {number} of a log" for number in range(20000)
    ]
    assert [line for line in said if line.startswith("half")] == [
        f"half an error ... {number}" for number in range(0, 20000, 100)
    ]
    assert len(said) == 20000 + 200 + 1
    assert all(line.startswith("[") for line in container.output().splitlines())
    files = [*(tmp_path / f"sglang.log.{number}" for number in range(9, 0, -1)), tmp_path / "sglang.log"]
    written = "".join(file.read_text() for file in files if file.exists())
    assert written.count("\n") == 20000, "rotation loses nothing"
    assert files[-2].exists(), "it has rotated"
