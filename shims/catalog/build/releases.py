"""What a catalog file says: vLLM's newest release with what only older ones had, or one release of SGLang.
`__main__` calls it; a release that leaves the middle of the range goes into OLDER, or its flags are forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shims.catalog.build import fetch, packages, variables
from shims.catalog.build.files import CatalogFile, Record

OLDER = ("0.11.0", "0.8.5")  # newest first: where two of them have a flag, the newer one says what it is


def vllm(version: str, older: Sequence[str] = OLDER) -> CatalogFile:
    releases = (version, *older)
    flags = {release: packages.records("vllm", release).flags for release in releases}
    tables = {release: [{"name": name} for name in _variables(release)] for release in releases}
    return CatalogFile("vllm", version, merged(flags), merged(tables))


def sglang(version: str) -> CatalogFile:
    return CatalogFile("sglang", version, packages.records("sglang", version).flags)


def merged(releases: Mapping[str, Sequence[Record]]) -> list[dict[str, Any]]:
    """The first release's records, then each older one's that no newer one has, marked with all who had them.

    Another flag's negation counts: 0.11.0's `--disable-log-requests` negates `--enable-log-requests` in 0.33.0."""
    (newest, records), *older = releases.items()
    found = {record["name"]: dict(record) for record in records}
    spoken = {newest: _spellings(records), **{release: _spellings(those) for release, those in older}}
    for _, those in older:
        for record in those:
            if record["name"] not in spoken[newest] and record["name"] not in found:
                had = [release for release, _ in older if record["name"] in spoken[release]]
                found[record["name"]] = {**record, "only_in": had}
    return list(found.values())


def _spellings(records: Sequence[Record]) -> set[str]:
    lists = [(record["name"], *record.get("aliases", ()), *record.get("negations", ())) for record in records]
    return {spelling for spellings in lists for spelling in spellings}


def _variables(release: str) -> list[str]:
    return variables.names((fetch.source("vllm", release) / "vllm" / "envs.py").read_text(encoding="utf-8"))
