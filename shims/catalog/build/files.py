"""The catalogs as files: one flag a line, so that a release's changes are read in a diff.
All of `build` reads and writes them here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shims import catalog

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CatalogFile:
    project: str
    version: str
    flags: Sequence[Record]
    variables: Sequence[Record] = field(default=())
    importable: Mapping[str, bool] | None = None


def path_of(name: str) -> Path:
    return catalog.HERE / f"{name}.json"


def read(path: Path) -> CatalogFile:
    return CatalogFile(**json.loads(path.read_text(encoding="utf-8")))


def write(path: Path, catalog_file: CatalogFile) -> None:
    path.write_text(text(catalog_file), encoding="utf-8")


def text(catalog_file: CatalogFile) -> str:
    parts = [f'"project": {json.dumps(catalog_file.project)}', f'"version": {json.dumps(catalog_file.version)}']
    if catalog_file.importable is not None:
        parts.append(f'"importable": {json.dumps(catalog_file.importable)}')
    parts.append(f'"flags": {_lines(catalog_file.flags)}')
    if catalog_file.variables:
        parts.append(f'"variables": {_lines(catalog_file.variables)}')
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def _lines(records: Sequence[Record]) -> str:
    return "[\n  " + ",\n  ".join(json.dumps(record) for record in records) + "\n ]"
