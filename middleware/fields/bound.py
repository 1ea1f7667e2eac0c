"""What a table's repairs know of the server besides the policy: the model's names, its adapters, and what is counted.
`middleware.app` binds each table of `middleware.routes` once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from middleware.fields.draft import Draft
from middleware.fields.record import Repair, Table
from middleware.fields.tally import Tally


class Model(Protocol):
    """`middleware.model` is one; asked anew for each request, because adapters come and go."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def context_length(self) -> int | None: ...

    def knows(self, name: str | None) -> bool: ...

    def adapter(self, name: str | None) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Server:
    model: Model
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Asking:
    """A repair that asks the server; written bare into a table, bound by `bind`."""

    ask: Callable[[Draft, Server], None]
    server: Server | None = None

    def __call__(self, draft: Draft) -> None:
        assert self.server is not None, "the table is not bound"
        self.ask(draft, self.server)


def bind(table: Table, server: Server) -> Table:
    def bound(repair: Repair) -> Repair:
        return replace(repair, server=server) if isinstance(repair, Asking) else repair

    return replace(table, repairs={name: bound(repair) for name, repair in table.repairs.items()})
