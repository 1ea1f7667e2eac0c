"""Names, arity and choices of every flag of the vLLM and SGLang versions that the table is checked against.
Data only, no decisions: `cli` builds its parser from it, `flags` decides.

Taken from both projects' own argparse parsers: vLLM 0.33.0 (with the flags that only 0.8.5 and 0.11.0 had,
marked `only_in`) and SGLang 0.5.23.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

Arity = Literal["one", "many", "optional", "append", "switch"]
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class CatalogFlag:
    name: str
    arity: Arity
    type: str = "str"  # str, int, float, json, human_int, human_int_or_auto; without meaning for a switch
    aliases: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    choices: tuple[Any, ...] = ()
    only_in: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class Catalog:
    project: str
    version: str
    flags: tuple[CatalogFlag, ...]

    @cached_property
    def by_spelling(self) -> dict[str, CatalogFlag]:
        """Every accepted spelling, negations too, to its flag. A flag's own name beats another's hidden negation
        (vLLM 0.33.0: `--disable-log-requests` negates `--enable-log-requests`)."""
        found: dict[str, CatalogFlag] = {}
        for flag in self.flags:
            for negation in flag.negations:
                found.setdefault(negation, flag)
        for flag in self.flags:
            for spelling in flag.spellings:
                found[spelling] = flag
        return found

    def expand(self, prefix: str) -> Iterator[str]:
        """The long spellings that begin with `prefix`, as argparse's abbreviations do."""
        return (spelling for spelling in self.by_spelling if spelling.startswith(prefix))


@lru_cache(maxsize=1)
def catalogs() -> tuple[Catalog, Catalog]:
    """vLLM's and SGLang's."""
    return load("vllm"), load("sglang")


def load(project: Literal["vllm", "sglang"]) -> Catalog:
    data = json.loads((HERE / f"{project}.json").read_text(encoding="utf-8"))
    flags = tuple(_flag(record) for record in data["flags"])
    return Catalog(data["project"], data["version"], flags)


def _flag(record: dict[str, Any]) -> CatalogFlag:
    values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in record.items()}
    return CatalogFlag(**values)
