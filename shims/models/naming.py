"""What the members of a mux are called: for clients, for supervisord and for files. `several` asks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shims.models.entry import Entry

LONGEST_SLUG = 40


@dataclass(frozen=True, slots=True)
class Before:
    """What the models of a server that runs have, by their names; at a start there is nothing."""

    ports: Mapping[str, int] = field(default_factory=dict)
    slugs: Mapping[str, str] = field(default_factory=dict)  # of those whose process goes on
    taken: frozenset[str] = frozenset()  # slugs of all that supervisord has, those that leave among them


NOTHING = Before()


def served(entry: Entry, given: Sequence[str], model: str) -> tuple[str, ...]:
    """`given`: what --served-model-name says. The first name is the one in metrics and logs."""
    own = (entry.name,) if entry.name else ()
    return tuple(dict.fromkeys((*own, *given, *entry.aliases) if own or given else (model, *entry.aliases)))


def check(names: Sequence[tuple[Entry, Sequence[str]]]) -> None:
    """Every name is one member's. Raises CommandLineError."""
    seen: dict[str, Entry] = {}
    for entry, own in names:
        for name in own:
            if other := seen.get(name):
                raise entry.wrong(
                    f"the name {name!r:.60} is given to the model at {other.at()} too: give it another name"
                )
            seen[name] = entry


def check_ports(entries: Sequence[Entry], house: Sequence[tuple[str, int]]) -> None:
    """Raises CommandLineError."""
    seen: dict[int, str] = {port: whose for whose, port in house}
    for entry in entries:
        if entry.port and (other := seen.get(entry.port)):
            raise entry.wrong(
                f"port {entry.port} is {other}'s too: give it another, or none to have one chosen", "port"
            )
        if entry.port:
            seen[entry.port] = f"the model at {entry.at()}"


def slugs(names: Sequence[str], before: Before = NOTHING) -> list[str]:
    """Words for programs and files, each once: the last part of a name, in small letters. By the name alone, and not
    by its place: at a reload a process that goes on would be another model's."""
    used = {*before.taken, *before.slugs.values()}
    found: list[str] = []
    for name in names:
        if kept := before.slugs.get(name):
            found.append(kept)
            continue
        last = name.rstrip("/").rpartition("/")[2].lower()
        slug = re.sub(r"[^a-z0-9.]+", "-", last).strip("-.")[:LONGEST_SLUG] or "model"
        number = 2
        chosen = slug
        while chosen in used:
            chosen, number = f"{slug}-{number}", number + 1
        used.add(chosen)
        found.append(chosen)
    return found
