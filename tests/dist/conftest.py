"""The wheel, built once, in a virtual environment of its own: what `pip install .` gives, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server import ROOT

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


@dataclass(frozen=True)
class Installed:
    """Its dependencies come from the tests' own environment, through a .pth file; of ours nothing does."""

    folder: Path
    wheel: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def site(self) -> Path:
        return next(self.folder.glob("lib/python*/site-packages"))

    def run(self, *words: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """One of its commands from a folder that is not the checkout."""
        command = [str(self.bin / words[0]), *words[1:]]
        given = {"PATH": os.environ["PATH"], **(env or {})}
        return subprocess.run(
            command, check=False, cwd=cwd, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )


def fresh(folder: Path, wheel: Path) -> Installed:
    venv.create(folder, with_pip=False)
    python = str(folder / "bin/python")
    # pip would run a temporary copy of itself: with --python it runs from where it is.
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    installed = Installed(folder, wheel)
    (installed.site / "zz_dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return installed


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
    subprocess.run([*PIP, "wheel", *options, str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return fresh(tmp_path_factory.mktemp("venv") / "env", wheel)
