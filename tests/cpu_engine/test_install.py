"""Only what is missing is done, and what was interrupted is done again."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cpu_engine import install
from cpu_engine.commands import Commands, InstallError
from cpu_engine.install import Step
from cpu_engine.places import REPOSITORY, Places
from cpu_engine.status import StepLine


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path)
    places.requirements.parent.mkdir()
    for name in ("requirements.txt", "convert.py"):
        (places.requirements.parent / name).write_text((REPOSITORY / "cpu_engine" / name).read_text())
    return places


class Rehearsal:
    """The real steps' names and stamps, with nothing done but what makes their stamps' folders."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.done: list[str] = []
        self.killed_in = ""
        self.printed = ""

    def run(self) -> None:
        out = io.StringIO()
        rehearsed = [Step(step.title, step.name, step.stamps, self.doing(step)) for step in install.steps(self.places)]
        try:
            install.make_ready(self.places, rehearsed, 0, StepLine(out))
        finally:
            self.printed = out.getvalue()

    def doing(self, step: Step) -> Callable[[Commands], str | None]:
        def do(_commands: Commands) -> str | None:
            self.done.append(step.name)
            if step.name == "environment":
                self.places.python.parent.mkdir(parents=True)
                self.places.python.symlink_to(sys.executable)
            elif step.name == "converted":
                self.places.model.mkdir(parents=True, exist_ok=True)
            if step.name == self.killed_in:
                raise InstallError("killed")
            return None

        return do


EVERYTHING = ["environment", "torch", "libraries", "packages", "converted"]


def test_from_nothing_every_step_is_taken_with_one_line_each(places: Places) -> None:
    rehearsal = Rehearsal(places)
    rehearsal.run()
    assert rehearsal.done == EVERYTHING
    *lines, last = rehearsal.printed.splitlines()
    assert [line.split()[0] for line in lines] == ["[1/5]", "[2/5]", "[3/5]", "[4/5]", "[5/5]"]
    assert all(line.endswith(" s") for line in lines)
    assert last.startswith("The engine is ready")


def test_the_second_run_does_nothing_and_says_one_line(places: Places) -> None:
    Rehearsal(places).run()
    second = Rehearsal(places)
    second.run()
    assert second.done == []
    assert len(second.printed.splitlines()) == 1


def test_what_a_killed_pip_had_downloaded_is_swept_away(places: Places) -> None:
    (places.temporary / "pip-unpack-x").mkdir(parents=True)
    Rehearsal(places).run()
    assert not places.temporary.exists()


@pytest.mark.parametrize("name", EVERYTHING[1:])
def test_after_an_interruption_the_next_run_begins_with_the_interrupted_step(places: Places, name: str) -> None:
    first = Rehearsal(places)
    first.killed_in = name
    with pytest.raises(InstallError):
        first.run()
    assert "not finished" in first.printed.splitlines()[-1]
    second = Rehearsal(places)
    second.run()
    assert second.done == EVERYTHING[EVERYTHING.index(name) :]


def test_a_removed_environment_is_made_anew_and_the_model_is_kept(places: Places) -> None:
    Rehearsal(places).run()
    subprocess.run(["rm", "-r", places.venv], check=True)
    second = Rehearsal(places)
    second.run()
    assert second.done == EVERYTHING[:-1]


def test_an_environment_whose_python_is_gone_is_made_anew(places: Places) -> None:
    Rehearsal(places).run()
    places.python.unlink()
    places.python.symlink_to("/nonexistent/python3")
    second = Rehearsal(places)
    second.run()
    assert second.done == EVERYTHING[:-1]


def test_a_change_of_pins_installs_everything_again_but_converts_only_for_its_own_pins(places: Places) -> None:
    Rehearsal(places).run()
    pinned = places.requirements.read_text()
    for name, again in (("uvloop==0.23.0", EVERYTHING[:-1]), ("transformers==5.19.0", EVERYTHING)):
        assert name in pinned
        places.requirements.write_text(pinned.replace(name, name + ".post1"))
        stale = [step.name for step in install.steps(places) if not step.stamps.has(step.name)]
        assert stale == again


def test_a_step_is_stamped_in_the_environment_it_belongs_to(places: Places) -> None:
    *in_venv, conversion = install.steps(places)
    assert {step.stamps.folder for step in in_venv} == {places.venv / ".stamps"}
    assert conversion.stamps.folder.parent == places.model


def test_the_installer_can_be_read_by_an_old_python_which_is_then_told_so() -> None:
    for name in ("install", "commands", "model", "packages", "places", "stamps", "status"):
        source = (REPOSITORY / "cpu_engine" / f"{name}.py").read_text()
        assert "from __future__ import annotations" in source
        ast.parse(source, filename=name, feature_version=(3, 8))
