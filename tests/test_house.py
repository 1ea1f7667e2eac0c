"""Rules of the house that hold for the tree as a whole: one fact in one place, and one idea a module."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from middleware import versions
from shims import VERSION, catalog

ROOT = Path(__file__).parent.parent
LONGEST_MODULE = 250


def test_every_part_speaks_for_the_same_version_of_vllm() -> None:
    spoken = catalog.load("vllm").version
    shadow = (ROOT / "shims/shadow/vllm/__init__.py").read_text()
    assert f'__version__ = "{spoken}"' in shadow
    assert spoken in Path(versions.__file__).read_text()


def test_our_own_version_is_the_projects() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_the_images_label_says_our_version() -> None:
    assert f"\nARG IMAGE_VERSION={VERSION}\n" in (ROOT / "Dockerfile").read_text()


def test_the_image_has_all_that_an_installation_has() -> None:
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copies = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    copied = {name for names in copies for name in names.split()}
    assert copied == {*packaged["only-include"], "pyproject.toml", "README.md"}
    assert all((ROOT / name).exists() for name in copied)


def test_the_base_of_the_image_is_the_one_that_the_readme_names() -> None:
    [version] = re.findall(r"^ARG BASE_IMAGE=\S+:v([\d.]+)-\S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert f"SGLang {version}" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("words", [("make", "--silent", "image"), ("deploy/build_image", "--build-arg", "X=1")])
@pytest.mark.parametrize("named", ["", "localhost/base:v1.2.3"])
def test_the_image_is_built_on_the_first_base_unless_another_is_named(words: tuple[str, ...], named: str) -> None:
    first = next(line for line in (ROOT / "deploy/bases").read_text().splitlines() if not line.startswith("#"))
    env = {"PATH": os.environ["PATH"], "BUILDER": "echo", **({"BASE_IMAGE": named} if named else {})}
    built = subprocess.run(words, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout
    assert f"build --build-arg BASE_IMAGE={named or first} " in built
    assert words[-1] in ("image", *built.split())


def test_what_needs_an_engine_or_the_whole_stack_says_so() -> None:
    """Without a mark it would run where `-m "not engine and not stack"` was asked for, and fail there."""
    words = ["--collect-only", "-q", "-m", "not engine and not stack", "tests/engine", "tests/stack"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert found.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, found.stdout
    assert "deselected" in found.stdout


def test_modules_hold_one_idea() -> None:
    files = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    ours = [ROOT / name for name in files.split() if not name.startswith("tests/") and (ROOT / name).exists()]
    assert ours
    long = {path.name: lines for path in ours if (lines := len(path.read_text().splitlines())) > LONGEST_MODULE}
    assert long == {}


def test_the_templates_use_nothing_newer_than_haproxy_2_4() -> None:
    """Directives of 2.5 and later, as haproxy 2.4.0's own parser refused them."""
    text = (ROOT / "haproxy/haproxy.cfg.j2").read_text()
    newer = (
        r"^\s*(grace|fd-hard-limit|close-spread-time|guid|balance hash|option idle-close-on-response|master-worker)\b"
    )
    assert re.findall(newer, text, re.MULTILINE) == []
    assert "init-state" not in text
