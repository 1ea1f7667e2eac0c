"""What the operator would rather lose than not start: VLLM_SHIM_UNSUPPORTED=warn and VLLM_SHIM_IGNORE_FLAGS turn
refusals into warnings. `translate` asks it for every outcome; a firm refusal (security, an impossible value) stands.
A flag that nobody has is waived by its name alone: misspelled, it may be the key or the certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shims.catalog import catalogs
from shims.exceptions import CommandLineError
from shims.flags.record import Outcome, dropped
from shims.grammar import canonical

if TYPE_CHECKING:
    from shims.flags.draft import Draft

UNSUPPORTED = "VLLM_SHIM_UNSUPPORTED"
IGNORE_FLAGS = "VLLM_SHIM_IGNORE_FLAGS"
CHOICES = ("refuse", "warn")


@dataclass(frozen=True, slots=True)
class Waivers:
    everything: bool
    flags: frozenset[str]

    def apply(self, draft: Draft, name: str, outcome: Outcome) -> Outcome:
        """`name`: a flag's full name, or a variable's."""
        if outcome.action != "refuse" or outcome.firm:
            return outcome
        if name in self.flags:
            waiver = f"{IGNORE_FLAGS} names it"
        elif self.everything and outcome.by_name:
            return replace(outcome, note=f"{outcome.note}; {UNSUPPORTED}=warn does not cover it: {IGNORE_FLAGS} would")
        elif self.everything:
            waiver = f"{UNSUPPORTED}=warn"
        else:
            return outcome
        draft.warnings.append(f"{name} is NOT honoured ({waiver}): {outcome.note}")
        return dropped(f"NOT honoured, {waiver}: {outcome.note}")


def read(env: Mapping[str, str]) -> Waivers:
    """Raises CommandLineError for a word that is no choice, or no flag."""
    word = env.get(UNSUPPORTED) or "refuse"
    if word not in CHOICES:
        raise CommandLineError(f"{UNSUPPORTED} is '{word}': give one of {', '.join(CHOICES)}")
    names = [name.strip() for name in env.get(IGNORE_FLAGS, "").split(",") if name.strip()]
    if odd := [name for name in names if not name.startswith("-")]:
        raise CommandLineError(f"{IGNORE_FLAGS}: '{odd[0]}' is no flag; give flags with their dashes: --a,--b")
    return Waivers(word == "warn", frozenset(_full_name(name) for name in names))


def _full_name(name: str) -> str:
    spelled = canonical(name)
    known = catalogs()[0].by_spelling.get(spelled)
    return known.name if known else spelled
