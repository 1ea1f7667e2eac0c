"""One engine judged: the plan that the image would make of its command line, or why it would make none.
`check` calls `judge`; no machine is read, so that the same file has the same verdict everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operate import program
from operate.found import Found, is_stand_in
from shims import files, start
from shims.exceptions import Refused, ShimError
from shims.facts import Facts
from shims.places import FOLDER, Places
from shims.plan import Plan

CONFIG = "--config"


@dataclass(frozen=True, slots=True)
class Verdict:
    found: Found
    plan: Plan | None = None
    error: str = ""
    refusals: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def has_remarks(self) -> bool:
        """Whether anything was ignored, or is to be looked at."""
        if self.plan is None:
            return True
        dropped = any(d.kind == "flag" and d.action == "drop" for d in self.plan.decisions)
        return dropped or bool(self.plan.warnings or self.notes)

    def to_json(self) -> dict[str, Any]:
        head = {"source": self.found.source, "notes": list(self.notes)}
        if self.plan is not None:
            return {**head, **self.plan.to_json()}
        return {**head, "error": self.error, "refusals": [list(pair) for pair in self.refusals]}


def judge(found: Found) -> Verdict:
    notes = found.notes
    if found.problem:
        return Verdict(found, error=found.problem, notes=notes)
    words, more = _without_unread_config(found)
    notes = (*notes, *more)
    try:
        chosen = start.plan(words, found.env, _facts(found))
    except Refused as error:
        return Verdict(found, error=str(error), refusals=error.refusals, notes=notes)
    except ShimError as error:
        return Verdict(found, error=str(error), notes=notes)
    return Verdict(found, chosen, notes=notes)


def _facts(found: Found) -> Facts:
    """Of a container that runs elsewhere: its volumes can be written, its user and its GPU have no name here."""
    volume = found.env.get("VLLM_CACHE_ROOT", "").rstrip("/")
    there = Path(volume).is_absolute() or is_stand_in(volume)
    where = Places(f"{volume}/{FOLDER}-UID" if there else "", architecture="GPU")
    return Facts(in_kubernetes=True, grace_seconds=found.grace_seconds, places=where)


def _without_unread_config(found: Found) -> tuple[list[str], list[str]]:
    """A --config names a file of the image, or of a volume: here it is another file, or none."""
    words = list(program.words(found.argv) or found.argv)
    notes = []
    index = 0
    while CONFIG in words[index:-1]:
        index = words.index(CONFIG, index)
        name = words[index + 1]
        if found.local and files.is_there(name):
            index += 2
            continue
        where = "" if found.local else " of the image"
        notes.append(f"the file {name}{where} cannot be read here: what it sets is not checked")
        del words[index : index + 2]
    return words, notes
