"""The virtual environment of the engine: made, filled with exactly the pinned packages, mended when pip was killed.
`install.py` takes these steps in this order.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from cpu_engine.commands import InstallError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cpu_engine.commands import Commands
    from cpu_engine.places import Places

# SGLang 0.5.23 is published for these only.
SUPPORTED_PYTHONS = ((3, 11), (3, 12), (3, 13))
# 0.5 GB of compilers: SGLang imports triton, but on a CPU nothing is ever compiled with it.
UNUSED = ("triton/backends/nvidia/bin", "triton/backends/nvidia/lib", "triton/backends/amd/lib")


def choose_python(version: tuple[int, int]) -> str:
    """The interpreter at work if SGLang is published for it, else one that is on PATH."""
    if version in SUPPORTED_PYTHONS:
        return sys.executable
    for major, minor in reversed(SUPPORTED_PYTHONS):
        found = shutil.which(f"python{major}.{minor}")
        # A version manager's stand-in may be on PATH for a Python that it does not run.
        if found and subprocess.run([found, "-c", ""], check=False, stderr=subprocess.DEVNULL).returncode == 0:
            return found
    raise InstallError(
        f"SGLang needs Python 3.11, 3.12 or 3.13; this is {version[0]}.{version[1]}, and none of them is on PATH"
    )


def make_environment(places: Places, commands: Commands) -> None:
    python = choose_python(sys.version_info[:2])
    if places.venv.exists():
        shutil.rmtree(places.venv)
    try:
        commands.run([python, "-m", "venv", places.venv], what="making the virtual environment")
    except InstallError as error:
        # Debian ships Python without them; `venv` says so only after it has written half of the folder.
        if any("ensurepip" in line or "No module named venv" in line for line in error.details):
            raise InstallError(
                f"{python} cannot make virtual environments: install its venv module (Debian, Ubuntu: python3-venv)"
            ) from error
        raise


def pip_install(
    places: Places,
    commands: Commands,
    *requirements: str,
    what: str,
    options: Sequence[str] = (),
    index: str | None = None,
) -> None:
    """`index` travels in the environment, as it may hold a password that `ps` would show."""
    forget_half_installed(places.site_packages())
    commands.run(
        [
            *(places.python, "-I", "-m", "pip", "install", "--only-binary", ":all:", "--no-input"),
            *("--disable-pip-version-check", "--progress-bar", "off", *options, *requirements),
        ],
        what=f"installing {what}",
        extra_env={"PIP_INDEX_URL": index} if index else None,
    )


def install_torch(places: Places, commands: Commands, pin: str, index: str | None) -> None:
    pip_install(places, commands, pin, what=pin, options=["--no-deps"], index=index)


def cuda_libraries(places: Places) -> list[str]:
    """What a CUDA build of torch is linked against. PyPI's 2.13.0 cannot be imported without, GPU or not
    (ImportError: libcudnn.so.9), so all 2 GB have to come along; a CPU build asks for none of them."""
    torch = next(iter(distributions(name="torch", path=[str(places.site_packages())])))
    return [line for line in torch.requires or () if line.startswith(("nvidia-", "cuda-")) and "extra ==" not in line]


def install_cuda_libraries(places: Places, commands: Commands) -> None:
    # With their dependencies: cuda-toolkit stands for most of the libraries. None of them asks for torch.
    pip_install(places, commands, *cuda_libraries(places), what="the CUDA libraries")


def install_the_rest(places: Places, commands: Commands, pins: Mapping[str, str]) -> None:
    rest = [pin for name, pin in pins.items() if name != "torch"]
    pip_install(places, commands, *rest, what="SGLang and its packages", options=["--no-deps"])
    for folder in UNUSED:
        shutil.rmtree(places.site_packages() / folder, ignore_errors=True)


def forget_half_installed(site_packages: Path) -> None:
    """pip (23.2) takes a package for installed as soon as its METADATA is there, and writes INSTALLER after the last
    of its files: what was cut off in between would be "already satisfied" for good."""
    for info in site_packages.glob("*.dist-info"):
        if not (info / "INSTALLER").exists():
            shutil.rmtree(info)
