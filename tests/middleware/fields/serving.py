"""The model of the recorded server, as a table's repairs know it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recorded:
    names: tuple[str, ...] = ("smollm2-135m",)
    context_length: int | None = 2048
    adapters: tuple[str, ...] = ("noisy", "zero")

    def knows(self, name: str | None) -> bool:
        return not name or name in (*self.names, *self.adapters)

    def adapter(self, name: str | None) -> str | None:
        return name if name in self.adapters else None
