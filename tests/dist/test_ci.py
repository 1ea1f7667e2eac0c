"""What .ci/run runs, in which order, and when it fails: with a Makefile and scripts for the image that only say so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server import ROOT

ALL = ["check", "test", "test-image"]


def ran(folder: Path, **codes: int) -> tuple[int, list[str], str]:
    """Exit code, the targets that were made, and what was printed; `codes` of what does not succeed."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    (folder / "tests/image").mkdir(parents=True)
    for name in ("possible", "build"):
        script = folder / "tests/image" / name
        script.write_text(f"#!/bin/sh\necho {name}: said why\nexit {codes.get(name, 0)}\n")
        script.chmod(0o755)
    targets = [f"{name}:\n\t@echo {name} >>made; exit {codes.get(name.replace('-', '_'), 0)}\n" for name in ALL]
    (folder / "Makefile").write_text("\n".join(targets))
    done = subprocess.run([folder / ".ci/run"], check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, (folder / "made").read_text().split(), done.stdout


def test_it_makes_all_and_the_image_last(tmp_path: Path) -> None:
    assert ran(tmp_path)[:2] == (0, ALL)


def test_where_no_image_can_be_it_says_why_in_the_last_line_and_succeeds(tmp_path: Path) -> None:
    code, made, said = ran(tmp_path, possible=1)
    assert (code, made) == (0, ["check", "test"])
    assert said.splitlines()[-1] == "left out: make test-image, because possible: said why"


def test_an_image_that_cannot_be_built_is_a_failure_with_its_output(tmp_path: Path) -> None:
    code, made, said = ran(tmp_path, build=1)
    assert (code, made) == (1, ["check", "test"])
    assert "build: said why" in said


@pytest.mark.parametrize("name", ALL)
def test_what_fails_is_a_failure_and_the_end(name: str, tmp_path: Path) -> None:
    code, made, _ = ran(tmp_path, **{name.replace("-", "_"): 1})
    assert code != 0
    assert made == ALL[: ALL.index(name) + 1]
