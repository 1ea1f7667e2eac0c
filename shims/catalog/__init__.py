"""Names, arity and choices of every flag of the vLLM and SGLang versions that the table is checked against.
Data only, no decisions: `cli` builds its parser from it, `flags` decides.

Taken from both projects' own argparse parsers: vLLM 0.33.0 (with the flags that only 0.8.5 and 0.11.0 had,
marked `only_in`) and SGLang 0.5.23.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

TESTED_SGLANG = ("0.5.23",)  # what the translations were checked against
Arity = Literal["one", "many", "optional", "append", "switch"]
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class CatalogFlag:
    name: str
    arity: Arity
    type: str = "str"  # a key of `cli.TYPES`; without meaning for a switch
    aliases: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    choices: tuple[Any, ...] = ()
    optional: bool = False  # '' and 'None' mean None
    default: Any = None  # where it is a plain JSON value
    only_in: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class Catalog:
    project: str
    version: str
    flags: tuple[CatalogFlag, ...]
    variables: frozenset[str] = frozenset()  # vLLM's environment
    importable: frozenset[str] | None = None  # optional packages of the engine that the image's build found

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
    """vLLM's and SGLang's. An image holds that of the SGLang in it, taken when it was built."""
    return load("vllm"), load("image" if (HERE / "image.json").exists() else "sglang")


@lru_cache(maxsize=256)
def nearest(name: str) -> str | None:
    """The known flag that an unknown one most resembles."""
    vllm, sglang = catalogs()
    found = difflib.get_close_matches(name, [*vllm.by_spelling, *sglang.by_spelling], n=1, cutoff=0.6)
    return found[0] if found else None


def load(name: Literal["vllm", "sglang", "image"]) -> Catalog:
    data = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    return Catalog(
        data["project"],
        data["version"],
        tuple(_flag(record) for record in data["flags"]),
        frozenset(variable["name"] for variable in data.get("variables", ())),
        frozenset(name for name, found in data["importable"].items() if found) if "importable" in data else None,
    )


def _flag(record: dict[str, Any]) -> CatalogFlag:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) and k != "default" else v for k, v in record.items()}
    return CatalogFlag(**values)
