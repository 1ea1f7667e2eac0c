"""The server behind a table: the recorded one, or one that has no name of its own and no adapters."""

from __future__ import annotations

from dataclasses import dataclass

from middleware.fields.bound import Server, bind
from middleware.fields.record import Table


@dataclass(frozen=True)
class Recorded:
    names: tuple[str, ...] = ("smollm2-135m",)
    context_length: int | None = 2048
    adapters: tuple[str, ...] = ("noisy", "zero")

    def knows(self, name: str | None) -> bool:
        return not name or not self.names or name in (*self.names, *self.adapters)

    def adapter(self, name: str | None) -> str | None:
        return name if name in self.adapters else None


NAMELESS = Recorded(names=(), context_length=None, adapters=())


def bound(table: Table, model: Recorded = NAMELESS) -> Table:
    return bind(table, Server(model))
