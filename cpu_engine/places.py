"""Where the engine lives: its virtual environment, the model and what the installer keeps for itself.
All of `cpu_engine` takes its paths from here; tests give another root.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Places:
    root: Path = REPOSITORY

    @property
    def venv(self) -> Path:
        return self.root / ".venv-engine"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def scratch(self) -> Path:
        return self.root / ".engine"

    @property
    def model(self) -> Path:
        return self.scratch / "SmolLM2-135M-Instruct"

    @property
    def log(self) -> Path:
        return self.scratch / "install.log"

    @property
    def lock(self) -> Path:
        return self.scratch / "install.lock"

    @property
    def temporary(self) -> Path:
        return self.scratch / "tmp"

    @property
    def requirements(self) -> Path:
        return self.root / "cpu_engine" / "requirements.txt"

    @property
    def converter(self) -> Path:
        return self.root / "cpu_engine" / "convert.py"

    @property
    def launcher(self) -> Path:
        return self.root / "cpu_engine" / "launch"

    def site_packages(self) -> Path:
        return next((self.venv / "lib").glob("python3.*/site-packages"))
