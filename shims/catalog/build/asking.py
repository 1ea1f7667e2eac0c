"""Asks another interpreter for the records of a project's parser: starts `inside.ask` there and reads its answer.
`packages` asks a throw-away environment with the published packages, `image` the SGLang of a base image.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Project = Literal["vllm", "sglang"]
HERE = Path(__file__).parent
TIMEOUT_SECONDS = 600.0  # SGLang with everything it imports, from a cold disk
# Only while `inside` is imported may this folder be on the path: a module here must not hide one of theirs.
BOOTSTRAP = """
import sys
sys.path[0] = sys.argv[1]
from inside.ask import main
del sys.path[0]
main(sys.argv[2])
"""


class AskError(Exception):
    """The parser could not be built there; the text is the last line that the interpreter wrote."""


@dataclass(frozen=True, slots=True)
class Answer:
    flags: list[dict[str, Any]]
    version: str = ""
    importable: Mapping[str, bool] | None = None


def ask(
    python: Path | str,
    project: Project,
    *,
    path: Path | None = None,
    stubs: Sequence[str] = (),
    packages: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Answer:
    """Raises AskError."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "answer.json"
        question = {
            "project": project,
            "out": str(out),
            "path": str(path) if path else "",
            "stubs": list(stubs),
            "packages": list(packages),
        }
        try:
            done = subprocess.run(
                # No assertion about torch's numbers holds for a stub of it (vLLM 0.8.5 makes one of `torch.iinfo`).
                [python, *(["-O"] if stubs else []), "-c", BOOTSTRAP, str(HERE), json.dumps(question)],
                cwd=folder,  # neither `vllm` nor `sglang` is found in an empty folder
                env=env,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=TIMEOUT_SECONDS,
            )
        except OSError as error:
            raise AskError(f"{python} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise AskError(f"no answer within {TIMEOUT_SECONDS:.0f} s") from error
        if done.returncode or not out.exists():
            lines = done.stderr.strip().splitlines()
            raise AskError(lines[-1] if lines else f"exit code {done.returncode}")
        answer = json.loads(out.read_text(encoding="utf-8"))
    return Answer(answer["flags"], answer.get("version", ""), answer["importable"])
