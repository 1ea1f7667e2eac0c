"""The engine's virtual environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cpu_engine import packages
from cpu_engine.commands import InstallError
from cpu_engine.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / ".venv-engine/lib/python3.11/site-packages").mkdir(parents=True)
    return Places(tmp_path)


def distribution(places: Places, name: str, *files: str, metadata: str = "") -> Path:
    info = places.site_packages() / f"{name}.dist-info"
    info.mkdir()
    for file in files:
        (info / file).write_text("")
    package, version = name.split("-")
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {package}\nVersion: {version}\n{metadata}")
    return info


def test_a_package_that_pip_was_killed_in_is_forgotten_and_a_whole_one_is_not(places: Places) -> None:
    whole = distribution(places, "uvloop-0.23.0", "RECORD", "INSTALLER")
    half = distribution(places, "transformers-5.19.0", "RECORD")
    packages.forget_half_installed(places.site_packages())
    assert whole.is_dir()
    assert not half.exists()


def test_a_cuda_build_of_torch_names_its_libraries(places: Places) -> None:
    needs = ("filelock", "cuda-toolkit[cublas]==13.0.3", "nvidia-nccl-cu13==2.29.7", "triton==3.7.1")
    optional = 'nvidia-extra==1; extra == "more"'
    metadata = "".join(f"Requires-Dist: {line}\n" for line in (*needs, optional))
    distribution(places, "torch-2.13.0", metadata=metadata)
    assert packages.cuda_libraries(places) == ["cuda-toolkit[cublas]==13.0.3", "nvidia-nccl-cu13==2.29.7"]


def test_a_cpu_build_of_torch_needs_no_libraries(places: Places) -> None:
    distribution(places, "torch-2.13.0+cpu", metadata="Requires-Dist: filelock\nRequires-Dist: jinja2\n")
    assert packages.cuda_libraries(places) == []


def test_the_python_at_work_is_taken_when_sglang_is_published_for_it() -> None:
    assert packages.choose_python((3, 12)) == sys.executable


def test_another_python_on_path_is_taken_when_this_one_is_too_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, status in (("python3.13", 127), ("python3.12", 0)):
        stand_in = tmp_path / name
        stand_in.write_text(f"#!/bin/sh\nexit {status}\n")
        stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert packages.choose_python((3, 14)) == str(tmp_path / "python3.12")


def test_no_fitting_python_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InstallError, match=r"needs Python 3\.11, 3\.12 or 3\.13; this is 3\.10"):
        packages.choose_python((3, 10))
