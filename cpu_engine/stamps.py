"""Which steps of an installation are complete, and for which pins: one small file for each, written at its very end.
The installer asks before a step and writes after it; an interrupted step has no stamp and is done again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


def fingerprint(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def pins(requirements: str) -> dict[str, str]:
    """The file's lines by name: `{"torch": "torch==2.13.0", ...}`."""
    lines = (line.split("#")[0].strip() for line in requirements.splitlines())
    return {line.split("==")[0]: line for line in lines if line}


@dataclass(frozen=True)
class Stamps:
    folder: Path
    made_from: str

    def has(self, step: str) -> bool:
        try:
            return (self.folder / step).read_text().strip() == self.made_from
        except OSError:
            return False

    def write(self, step: str) -> None:
        self.folder.mkdir(exist_ok=True)
        whole = self.folder / step
        part = whole.with_suffix(".part")
        part.write_text(self.made_from + "\n")
        part.replace(whole)
