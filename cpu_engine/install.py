#!/usr/bin/env python3
"""Makes the engine ready: SGLang in .venv-engine and its model in .engine, from package indexes alone.
`make engine` and `make run` call it with the system's Python; it does only what is missing, so that the second call
ends at once and an interrupted one is taken up again.

TORCH_INDEX may name a package index for torch alone, one with CPU builds for example. For another build of torch
than the one that is installed, remove .venv-engine first.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

# This file is run by its path, and its siblings are imported as a package.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cpu_engine import model, packages
from cpu_engine.commands import Commands, InstallError, only_one
from cpu_engine.places import Places
from cpu_engine.stamps import Stamps, fingerprint, pins
from cpu_engine.status import StepLine


@dataclass(frozen=True)
class Step:
    title: str
    name: str
    stamps: Stamps
    do: Callable[[Commands], str | None]
    """Returns what is worth knowing of how it went."""


def steps(places: Places, torch_index: str | None = None) -> list[Step]:
    requirements = places.requirements.read_text()
    pinned = pins(requirements)
    in_venv = Stamps(places.venv / ".stamps", fingerprint(requirements))
    in_model = model.stamps(places, pinned)

    def environment(commands: Commands) -> None:
        packages.make_environment(places, commands)

    def torch(commands: Commands) -> str:
        packages.install_torch(places, commands, pinned["torch"], torch_index)
        return "a CUDA build" if packages.cuda_libraries(places) else "a CPU build"

    def libraries(commands: Commands) -> str:
        if not packages.cuda_libraries(places):
            return "none needed"
        packages.install_cuda_libraries(places, commands)
        return "this torch cannot be imported without (TORCH_INDEX may name an index with CPU builds)"

    def rest(commands: Commands) -> None:
        packages.install_the_rest(places, commands, pinned)

    def conversion(commands: Commands) -> None:
        model.convert(places, commands, pinned)

    return [
        Step("virtual environment", "environment", in_venv, environment),
        Step(pinned["torch"].replace("==", " "), "torch", in_venv, torch),
        Step("CUDA libraries (2 GB, if torch is a CUDA build)", "libraries", in_venv, libraries),
        Step(f"SGLang {pinned['sglang'].split('==')[1]} and {len(pinned) - 2} packages", "packages", in_venv, rest),
        Step(f"converting {places.model.name}", model.STAMP, in_model, conversion),
    ]


def make_ready(places: Places, todo: list[Step], lock: int, line: StepLine) -> None:
    # The Python that it was made with is gone from the machine: nothing in it can run.
    if places.venv.exists() and not places.python.exists():
        shutil.rmtree(places.venv)
    # A pip that was killed leaves all that it had downloaded.
    shutil.rmtree(places.temporary, ignore_errors=True)
    places.temporary.mkdir(parents=True)
    commands = Commands(places.log, places.temporary, lock, line.tick)
    for position, step in enumerate(todo, start=1):
        if step.stamps.has(step.name):
            continue
        line.begin(f"[{position}/{len(todo)}] {step.title}")
        try:
            note = step.do(commands)
        except BaseException:
            line.finish("not finished")
            raise
        step.stamps.write(step.name)
        line.finish(note)
    shutil.rmtree(places.temporary)
    line.print(f"The engine is ready: SGLang in {places.venv}, its model in {places.model}")


def stop(signum: int, _frame: object) -> NoReturn:
    sys.exit(128 + signum)


def main(places: Places) -> int:
    signal.signal(signal.SIGTERM, stop)
    line = StepLine(sys.stdout)
    try:
        with only_one(
            places.lock, lambda: line.print("Another installation is at work here; waiting for its end.")
        ) as lock:
            make_ready(places, steps(places, os.environ.get("TORCH_INDEX")), lock, line)
    except InstallError as error:
        print(f"cpu_engine: {error}", *error.details, sep="\n    ", file=sys.stderr)
        if error.details:
            print(f"The whole output is in {places.log}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cpu_engine: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; the next run goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(Places()))
