"""What a new release added, removed and changed, flag by flag, and what that asks of us.
`__main__` prints it; two orders of the same choices are the same choices.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shims.catalog.build.files import CatalogFile, Record


def report(
    old: CatalogFile, new: CatalogFile, decided: Container[str] | None, named_in: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """`decided`: the flags that our table has a record for, where it must have one for each. `named_in`: our own
    files that name a flag."""
    yield f"{new.project} {old.version} -> {new.version}"
    before, after = by_name(old.flags), by_name(new.flags)
    for name in after:
        if name not in before:
            yield f"  added    {name} ({summary(after[name])}){'' if decided is None or name in decided else UNDECIDED}"
        elif different := list(differences(before[name], after[name])):
            yield f"  changed  {name}: {'; '.join(different)}"
    for name in before:
        if name not in after:
            files = ", ".join(named_in.get(name, ()))
            yield f"  removed  {name}{f': still named in {files}' if files else ''}"
    variables = by_name(old.variables), by_name(new.variables)
    for what, these, those in (("added", variables[1], variables[0]), ("removed", variables[0], variables[1])):
        if names := [name for name in these if name not in those]:
            yield f"  {what:8} {len(names)} variables: {', '.join(names)}"
    if decided is not None:
        undecided = [name for name in after if name not in decided]
        yield f"  {len(after)} flags, {len(undecided)} of them without a record in shims/flags"
    else:
        yield f"  {len(after)} flags"


UNDECIDED = ": no record in shims/flags yet"


def by_name(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """The records by name; in those that have choices, sorted: their order means nothing."""
    found = {record["name"]: dict(record) for record in records}
    for record in found.values():
        if "choices" in record:
            record["choices"] = sorted(record["choices"], key=str)
    return found


def differences(old: Record, new: Record) -> Iterator[str]:
    for key in dict.fromkeys((*old, *new)):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before or after, list) and key != "default":
            come = [str(value) for value in after or () if value not in (before or ())]
            gone = [str(value) for value in before or () if value not in (after or ())]
            both = (("has", come), ("lost", gone))
            yield " and ".join(f"{what} {key} {', '.join(values)}" for what, values in both if values)
        else:
            yield f"{key} {_shown(before)} -> {_shown(after)}"


def summary(record: Record) -> str:
    kind = record["arity"] if record["arity"] == "switch" else f"{record['arity']} {record['type']}"
    return kind + (f", {len(record['choices'])} choices" if "choices" in record else "")


def mentions(flags: Iterable[str], folder: Path) -> dict[str, list[str]]:
    """The Python files below `folder` that name a flag in quotes: what may give it to an SGLang without it."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py"))}
    found = {flag: [str(path) for path, text in texts.items() if f'"{flag}"' in text] for flag in flags}
    return {flag: files for flag, files in found.items() if files}


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
