"""The launcher's defaults, and the script that finds its environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cpu_engine import launch
from cpu_engine.places import REPOSITORY

SCRIPT = REPOSITORY / "cpu_engine" / "launch"


def test_all_defaults_are_given_when_the_caller_says_nothing_of_them() -> None:
    argv = launch.with_defaults(["--model-path", "m"])
    assert argv[-2:] == ["--model-path", "m"]
    assert set(launch.FLAGS) <= set(argv)
    assert argv[argv.index("--device") + 1] == "cpu"
    assert argv[argv.index("--max-total-tokens") + 1] == "16384"


@pytest.mark.parametrize(
    "given", [["--max-total-tokens", "4096"], ["--max-total-tokens=4096"]], ids=["two words", "with equals"]
)
def test_a_flag_that_the_caller_gave_wins(given: list[str]) -> None:
    argv = launch.with_defaults(given)
    assert "16384" not in argv
    assert argv[-len(given) :] == given


def test_a_switch_is_not_given_twice() -> None:
    assert launch.with_defaults(["--disable-overlap-schedule"]).count("--disable-overlap-schedule") == 1


def test_what_the_caller_gave_comes_last_so_that_an_abbreviation_wins_too() -> None:
    assert launch.with_defaults(["--max-total", "4096"])[-2:] == ["--max-total", "4096"]


def test_the_operators_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in launch.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    launch.set_environment()
    assert os.environ["OMP_NUM_THREADS"] == "8"
    assert os.environ["SGLANG_USE_CPU_ENGINE"] == "1"
    for name in launch.ENVIRONMENT:
        monkeypatch.delenv(name)


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """A virtual environment whose Python says what it was called with."""
    python = tmp_path / "other venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    return tmp_path / "other venv"


def run(script: Path, *arguments: str, venv: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [script, *arguments],
        env={**os.environ, "VLLM_SHIM_ENGINE_VENV": str(venv)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_script_hands_every_argument_on_as_it_is(venv: Path) -> None:
    given = ["--served-model-name", "a b", '{"x": "$HOME"}', ""]
    assert run(SCRIPT, *given, venv=venv).stdout.split("\n")[:-1] == [str(REPOSITORY / "cpu_engine/launch.py"), *given]


def test_the_script_finds_its_home_through_a_symbolic_link(venv: Path, tmp_path: Path) -> None:
    link = tmp_path / "sglang"
    link.symlink_to(SCRIPT)
    assert run(link, venv=venv).stdout.strip() == str(REPOSITORY / "cpu_engine/launch.py")


def test_without_an_engine_the_script_says_what_to_run(tmp_path: Path) -> None:
    done = run(SCRIPT, "--port", "1", venv=tmp_path / "nothing")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "make engine" in done.stderr
