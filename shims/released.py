"""What the last release accepted and refused, name by name, and what of it is refused now: that makes a major release.
`make release-outcomes` writes the list (catalog/released.json) for each release; tests/dist asks for the `verdict`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from middleware.endpoints.refusals import not_served, rendered_apart, scale_out
from middleware.endpoints.responses import no_response
from middleware.fields.record import Table
from middleware.fields.responses import RESPONSES
from middleware.route import Route
from middleware.routes import ROUTES
from shims import VERSION, environment, flags

FILE = Path(__file__).parent / "catalog/released.json"
REFUSE = "refuse"
GONE = "not known"
REFUSING = (not_served, rendered_apart, scale_out, no_response)
Outcomes = dict[str, dict[str, str]]  # kind: {name: action}


def outcomes() -> Outcomes:
    """As the tables stand. What a converter makes of a single value is not in it."""
    tables = {table.name: table for table in (*(route.body for route in ROUTES), RESPONSES) if table is not None}
    return {
        "flag": {name: flag.action for name, flag in sorted(flags.TABLE.items())},
        "variable": {name: variable.action for name, variable in sorted(environment.TABLE.items())},
        "route": dict(sorted(_routes(ROUTES))),
        "field": dict(sorted(_fields(tables))),
    }


def _routes(routes: Iterable[Route]) -> Iterator[tuple[str, str]]:
    """Refused where every record of it is."""
    answered = {(m, route.path) for route in routes if route.ours not in REFUSING for m in route.methods}
    for route in routes:
        for method in route.methods:
            yield f"{method} {route.path}", "answer" if (method, route.path) in answered else REFUSE


def _fields(tables: Mapping[str, Table]) -> Iterator[tuple[str, str]]:
    for kind, table in tables.items():
        for field in table.fields:
            yield f"{kind}: {field.name}", field.action.value


def newly_refused(before: Outcomes, now: Outcomes) -> list[str]:
    """A sentence for each name that was accepted. One that nobody knows any more is refused as well; a table that has
    no list of its own refuses nothing new."""
    return [
        f"the {kind} {name} was accepted ({action}) and is {after} now"
        for kind, names in before.items()
        for name, action in names.items()
        if action != REFUSE and (after := now[kind].get(name, GONE)) in (REFUSE, GONE)
    ]


def major(version: str) -> int:
    return int(version.partition(".")[0])


def load() -> tuple[str, Outcomes]:
    """The last released version, and its outcomes."""
    data = json.loads(FILE.read_text(encoding="utf-8"))
    return data.pop("version"), data


def verdict(before: tuple[str, Outcomes], version: str, now: Outcomes) -> str:
    """Nothing, or why this version may not be released under its number."""
    released, then = before
    refused = newly_refused(then, now)
    if not refused or major(version) > major(released):
        return ""
    said = "\n  ".join(refused)
    return (
        f"this is a major release: since {released}\n  {said}\n"
        f"accept it, or make the version in pyproject.toml {major(released) + 1}.0.0"
    )


def main() -> int:
    if why := verdict(load(), VERSION, outcomes()) if FILE.exists() else "":
        print(why, file=sys.stderr)
        return 1
    text = json.dumps({"version": VERSION, **outcomes()}, indent=1, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")
    print(f"wrote {FILE.name}: {', '.join(f'{len(names)} {kind}s' for kind, names in outcomes().items())} of {VERSION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
