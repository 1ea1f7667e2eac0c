"""Downloads a release's own package from the package index, checked by the hash that the index gives, and unpacks
its Python files into `.cache/catalog`. `packages` calls it; PIP_INDEX_URL names another index.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
import shutil
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "catalog"
INDEX = "https://pypi.org/simple"
TIMEOUT_SECONDS = 180.0


class FetchError(Exception):
    """The release is not there, or not what the index says it is."""


def source(project: str, version: str) -> Path:
    """The folder that holds the package `project` of this release. Raises FetchError."""
    folder = CACHE / f"{project}-{version}"
    if folder.exists():
        return folder
    page = f"{os.environ.get('PIP_INDEX_URL', INDEX).rstrip('/')}/{project}/"
    address, wanted = choose(_read(page).decode(), page, project, version)
    data = _read(address)
    if hashlib.sha256(data).hexdigest() != wanted:
        raise FetchError(f"{address} does not have the hash that {page} gives")
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / Path(address).name
    archive.write_bytes(data)
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    unpack(archive, partial, project, version)
    archive.unlink()
    return partial.rename(folder)


def choose(page: str, address: str, project: str, version: str) -> tuple[str, str]:
    """The address and the SHA-256 of the release's sdist, else of any wheel: only its Python files are read."""
    links = [urljoin(address, html.unescape(link)) for link in re.findall(r'href="([^"]+)"', page)]
    names = {Path(urldefrag(link).url).name: link for link in links}
    wheels = sorted(name for name in names if name.startswith(f"{project}-{version}-") and name.endswith(".whl"))
    found = next((name for name in (f"{project}-{version}.tar.gz", *wheels) if name in names), None)
    if found is None:
        raise FetchError(f"{address} has no {project} {version}")
    url, fragment = urldefrag(names[found])
    return url, fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""


def unpack(archive: Path, folder: Path, project: str, version: str) -> None:
    """The package's Python files, and a version for `importlib.metadata`."""
    for name, text in python_files(archive):
        # A sdist has a folder around all, and an egg-info that would be found before ours.
        inner = name if archive.suffix == ".whl" else name.partition("/")[2]
        path = (folder / inner).resolve()
        if inner.startswith(f"{project}/") and path.is_relative_to(folder.resolve()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
    info = folder / f"{project}-{version}.dist-info"
    info.mkdir(parents=True)
    # vLLM 0.8.5 and 0.11.0 take their platform from it, and without one make no parser ("Failed to infer device type").
    shown = f"{version}+cpu" if project == "vllm" else version
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: {shown}\n")


def python_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from ((name, wheel.read(name)) for name in wheel.namelist() if name.endswith(".py"))
    else:
        with tarfile.open(archive) as sdist:
            for member in sdist:
                if member.name.endswith(".py") and (file := sdist.extractfile(member)):
                    yield member.name, file.read()


def _read(address: str) -> bytes:
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  (the index's own)
            return bytes(answer.read())
    except OSError as error:
        raise FetchError(f"{address} cannot be read: {error}") from error
